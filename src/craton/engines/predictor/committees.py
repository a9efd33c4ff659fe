"""Several predictors that answer as one.

Voting and bagging: the mean of what the members say, or the majority (Breiman, "Bagging predictors", 1996). Stacking: a
last estimator over what they say (Wolpert, "Stacked generalization", 1992). Boosting: votes weighted by how good each
is (Zhu et al., "Multi-class AdaBoost", 2009; for numbers the weighted median: Drucker, "Improving regressors using
boosting techniques", 1997). Each member keeps its own format, in a folder of its own, so the committee is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged
from craton.core.predicting import Field, PredictVerb, Signature
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.preprocessing import codes
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

MEMBERS, LAST = "members", "last.skops"
MOST_MEMBERS = 1000

Way = Literal["mean", "majority", "boosted", "stacked"]


class Kept(Struct, frozen=True, omit_defaults=True):
    """A member in the manifest. source: the model in the hub that it was, with its lineage."""

    loader: str
    signature: Signature
    parameters: dict[str, Any] = {}
    source: dict[str, str] = {}


class Settings(Struct, frozen=True):
    """weights: of the members; stacked ones have none."""

    way: Way
    weights: tuple[float, ...]
    members: tuple[Kept, ...]


class Committee:
    """signature: takes the columns of all members. sources: of each member, {} for one that was trained for this.

    last: of stacked ones, the fitted estimator over `said`.
    """

    def __init__(
        self,
        signature: Signature,
        members: Sequence[Predictor],
        way: Way,
        weights: Sequence[float] = (),
        last: Any | None = None,
        sources: Sequence[dict[str, str]] = (),
    ) -> None:
        self._signature, self.members, self.way, self.last = signature, (*members,), way, last
        self.weights = (*weights,) or (1.0,) * len(self.members)
        self.sources = (*sources,) or ({},) * len(self.members)

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Array]:
        import numpy as np

        label = self._signature.outputs["predict"][0]
        if not label.categories:
            return {PREDICTION: self._numbers(rows)}
        chances = self._chances(rows, label)
        answer = {PREDICTION: np.array(label.categories, dtype=object)[chances.argmax(axis=1)]}
        return answer if verb == "predict" else {**answer, PROBABILITIES: chances}

    def _chances(self, rows: pd.DataFrame, label: Field) -> Array:
        """Shape (rows, classes), which add up to 1."""
        import numpy as np

        if self.way == "stacked":
            assert self.last is not None
            features = said(self.members, rows, label)
            found = np.zeros((len(rows), len(label.categories)))
            if hasattr(self.last, "predict_proba"):  # a class that is rare may be unknown to it
                found[:, self.last.classes_.astype(int)] = self.last.predict_proba(features)
            else:
                found[np.arange(len(rows)), self.last.predict(features).astype(int)] = 1.0
            return found
        if self.way == "mean":
            return self._weighted([chances_of(member, rows, label) for member in self.members])
        votes = self._weighted(
            [np.eye(len(label.categories))[chances_of(member, rows, label).argmax(axis=1)] for member in self.members]
        )
        return boosted_chances(votes) if self.way == "boosted" else votes

    def _numbers(self, rows: pd.DataFrame) -> Array:
        import numpy as np

        if self.way == "stacked":
            assert self.last is not None
            found: Array = self.last.predict(said(self.members, rows, None))
            return found
        each = np.column_stack([numbers_of(member, rows) for member in self.members])
        if self.way == "boosted":
            return weighted_median(each, np.array(self.weights))
        mean: Array = np.average(each, axis=1, weights=self.weights)
        return mean

    def _weighted(self, each: list[Array]) -> Array:
        import numpy as np

        found: Array = np.average(each, axis=0, weights=self.weights)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        from craton.engines.predictor.loaders import loader_of
        from craton.engines.predictor.trusted import save_skops

        kept = []
        for place, member in enumerate(self.members):
            own = folder / MEMBERS / f"{place:03}"
            own.mkdir(parents=True)
            kept.append(Kept(loader_of(member), member.signature, member.save(own), self.sources[place]))
        if self.last is not None:
            save_skops(self.last, folder / LAST)
        parameters: dict[str, Any] = msgspec.to_builtins(Settings(self.way, self.weights, tuple(kept)))
        return parameters

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> Committee:
        """Raises Damaged, Unsupported."""
        from craton.engines.predictor.loaders import predictor_class
        from craton.engines.predictor.trusted import load_skops

        try:
            settings = msgspec.convert(manifest.parameters, Settings)
        except (msgspec.ValidationError, RecursionError) as error:
            raise Damaged("model.json", f"its parameters are not those of a committee ({error})") from error
        if not 0 < len(settings.members) <= MOST_MEMBERS or len(settings.weights) != len(settings.members):
            raise Damaged("model.json", "a committee has a weight for each of its members")
        members = [
            predictor_class(one.loader).load(
                folder / MEMBERS / f"{place:03}",
                Manifest(one.loader, manifest.method, one.signature, {}, one.parameters),
            )
            for place, one in enumerate(settings.members)
        ]
        last = load_skops(folder / LAST) if settings.way == "stacked" else None
        sources = [one.source for one in settings.members]
        return cls(manifest.signature, members, settings.way, settings.weights, last, sources)


def chances_of(member: Predictor, rows: pd.DataFrame, label: Field) -> Array:
    """A member's probabilities in the order of the committee's categories; of one that only says labels, 1 for it."""
    import numpy as np

    outputs = member.signature.outputs
    found = np.zeros((len(rows), len(label.categories)))
    if "predict_proba" in outputs:
        places = codes(outputs["predict_proba"][0].categories, label.categories)
        known = places >= 0
        found[:, places[known]] = member.run("predict_proba", rows)[PROBABILITIES][:, known]
        return found
    places = codes(member.run("predict", rows)[PREDICTION].tolist(), label.categories)
    known = places >= 0
    found[np.flatnonzero(known), places[known]] = 1.0
    return found


def numbers_of(member: Predictor, rows: pd.DataFrame) -> Array:
    import numpy as np

    return np.asarray(member.run("predict", rows)[PREDICTION], dtype=np.float64)


def said(members: Sequence[Predictor], rows: pd.DataFrame, label: Field | None) -> Array:
    """What a stacked committee's last estimator takes: each member's number, or its probabilities (of two classes the
    second alone: the other says the same)."""
    import numpy as np

    if label is None:
        return np.column_stack([numbers_of(member, rows) for member in members])
    first = 1 if len(label.categories) == 2 else 0
    return np.hstack([chances_of(member, rows, label)[:, first:] for member in members])


def boosted_chances(votes: Array) -> Array:
    """votes: shares. As scikit-learn's AdaBoostClassifier."""
    from scipy.special import softmax

    others = max(votes.shape[1] - 1, 1)
    found: Array = softmax((votes - (1 - votes) / others) / others, axis=1)
    return found


def weighted_median(values: Array, weights: Array) -> Array:
    """Of each row, the value at which half of the weights are reached. As scikit-learn's AdaBoostRegressor."""
    import numpy as np

    order = np.argsort(values, axis=1, kind="stable")
    reached = np.cumsum(weights[order], axis=1)
    place = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)
    rows = np.arange(len(values))
    found: Array = values[rows, order[rows, place]]
    return found
