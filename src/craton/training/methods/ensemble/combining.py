"""The four ways of making a committee. Sources stand in `engines.predictor.committees`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.committees import Committee, chances_of, numbers_of, said
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import classification_outputs, regression_outputs
from craton.training.methods.ensemble.members import Candidate, Fixed, Learned
from craton.training.methods.supervised.learners import BOOSTERS, Task, estimator
from craton.training.methods.supervised.training import answers_of
from craton.training.protocol import Run, Tables
from craton.training.search.folds import folds
from craton.training.specification.methods import Ensemble
from craton.training.specification.suggesting import did_you_mean

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

KNOWN = {
    "voting": {"voting", "weights"},
    "stacking": {"cv", "final_estimator"},
    "bagging": {"bootstrap", "max_samples", "n_estimators"},
    "boosting": {"learning_rate", "n_estimators"},
}
"""model.params: by their names in scikit-learn."""


@dataclass(frozen=True, slots=True)
class Making:
    """What all four need. `voting`, `stacking`, `bagging` and `boosting` raise InvalidRequest."""

    spec: Ensemble
    task: Task
    tables: Tables
    candidates: list[Candidate]
    run: Run

    def committee(self) -> Committee:
        params = self.spec.model.params
        for name in params:
            if name not in KNOWN[self.spec.model.use]:
                hint = did_you_mean(name, KNOWN[self.spec.model.use])
                raise InvalidRequest(
                    f"{self.spec.model.use} has no such parameter" + (f"; {hint}" if hint else ""),
                    f"model.params.{name}",
                )
        found: Committee = getattr(self, f"_{self.spec.model.use}")(params)
        return found

    def fitted(self) -> list[Predictor]:
        """Each member on all training rows."""
        found = []
        for place, one in enumerate(self.candidates):
            self.run.check()
            self.run.progress(place, len(self.candidates), "members")
            found.append(one.predictor if isinstance(one, Fixed) else one.fit(self._all()))
        return found

    def _voting(self, params: dict[str, Any]) -> Committee:
        self._need_two()
        way = params.get("voting", "soft")
        if way not in {"soft", "hard"} or (way == "hard" and self.task == "regression"):
            raise InvalidRequest("'soft' or, for classes, 'hard'", "model.params.voting")
        weights = params.get("weights") or [1.0] * len(self.candidates)
        if not _are_weights(weights, len(self.candidates)):
            raise InvalidRequest("a number for each member, none below zero", "model.params.weights")
        return self._made(self.fitted(), "majority" if way == "hard" else "mean", weights)

    def _stacking(self, params: dict[str, Any]) -> Committee:
        """The last estimator learns from what members say of rows that they were not fitted on."""
        import numpy as np

        self._need_two()
        label = self._label()
        count = _whole(params, "cv", 5, 2)
        classes = self._answers() if label is not None else None
        parts = folds(self.tables.train, count, self.spec.seed, self.spec.data.split, classes)
        features, places = [], []
        for place, (learned, judged) in enumerate(parts):
            self.run.check()
            self.run.progress(place, len(parts), "folds")
            members = [one.predictor if isinstance(one, Fixed) else one.fit(learned) for one in self.candidates]
            features.append(said(members, self.tables.train.iloc[judged], label))
            places.append(judged)
        order = np.argsort(np.concatenate(places), kind="stable")
        matrix, rows = np.concatenate(features)[order], np.sort(np.concatenate(places))
        last = self._last(params.get("final_estimator")).fit(matrix, self._answers()[rows])
        return self._made(self.fitted(), "stacked", (), last)

    def _bagging(self, params: dict[str, Any]) -> Committee:
        """Each member is fitted to so many draws of the rows; of every class, at least one row is in each draw."""
        import numpy as np

        count = _whole(params, "n_estimators", 10, 1)
        share = params.get("max_samples", 1.0)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise InvalidRequest("a share of the rows, above 0 and up to 1", "model.params.max_samples")
        again = params.get("bootstrap", True)
        learners = self._learners("bagging fits every member anew")
        draw = np.random.default_rng(self.spec.seed)
        members: list[Predictor] = []
        for _ in range(count):
            for one in learners:
                self.run.check()
                self.run.progress(len(members), count * len(learners), "members")
                taken = draw.choice(one.rows, max(1, round(share * one.rows)), replace=bool(again))
                members.append(one.fit(self._with_every_class(taken, draw)))
        return self._made(members, "mean")

    def _boosting(self, params: dict[str, Any]) -> Committee:
        """In each round the candidate with the least weighted error joins, and rows that it gets wrong weigh more. With
        one candidate this is AdaBoost: SAMME for classes, R2 for numbers."""
        import numpy as np

        rounds = _whole(params, "n_estimators", 50, 1)
        rate = params.get("learning_rate", 1.0)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise InvalidRequest("above zero", "model.params.learning_rate")
        draw = np.random.default_rng(self.spec.seed)
        weights = np.full(len(self._all()), 1 / len(self._all()))
        joined: list[tuple[Predictor, float, dict[str, str]]] = []
        for round_ in range(rounds):
            self.run.check()
            self.run.progress(round_, rounds, "rounds")
            tried = [self._tried(one, weights, draw) for one in self.candidates]
            best = min(range(len(tried)), key=lambda at: tried[at][1])
            predictor, error, wrong = tried[best]
            self.run.metric("boosting_error", error, round_)
            alpha, weights, more = self._weighed(error, wrong, weights, float(rate))
            if alpha is None:
                break
            one = self.candidates[best]
            joined.append((predictor, alpha, one.source if isinstance(one, Fixed) else {}))
            if not more:
                break
        if not joined:
            raise InvalidRequest("no member is better than guessing, so there is nothing to boost", "members")
        members, alphas, sources = zip(*joined, strict=True)
        return self._made(members, "boosted", alphas, sources=sources)

    def _tried(self, one: Candidate, weights: Array, draw: Any) -> tuple[Predictor, float, Array]:
        """The predictor, its weighted error, and how wrong it is about each row, from 0 to 1."""
        import numpy as np

        if isinstance(one, Fixed):
            predictor = one.predictor
        elif self.task == "classification" and one.takes_weights:
            predictor = one.fit(self._all(), weights * len(weights))
        else:
            taken = draw.choice(len(weights), len(weights), p=weights)
            predictor = one.fit(self._with_every_class(taken, draw))
        label = self._label()
        if label is not None:
            wrong = (chances_of(predictor, self.tables.train, label).argmax(axis=1) != self._answers()).astype(float)
        else:
            distance = np.abs(numbers_of(predictor, self.tables.train) - self._answers())
            wrong = distance / distance.max() if distance.max() > 0 else distance
        return predictor, float((weights * wrong).sum()), wrong

    def _weighed(self, error: float, wrong: Array, weights: Array, rate: float) -> tuple[float | None, Array, bool]:
        """The member's own weight (None: it does not join), the rows' new ones, and whether to go on."""
        import numpy as np

        label = self._label()
        if error <= 0:
            return 1.0, weights, False
        if label is not None:
            classes = len(label.categories)
            if error >= 1 - 1 / classes:
                return None, weights, False
            alpha = rate * (math.log((1 - error) / error) + math.log(classes - 1))
            changed = weights * np.exp(alpha * wrong)
        else:
            if error >= 0.5:
                return None, weights, False
            beta = error / (1 - error)
            alpha = rate * math.log(1 / beta)
            changed = weights * np.power(beta, (1 - wrong) * rate)
        return alpha, changed / changed.sum(), True

    def _made(
        self,
        members: Sequence[Predictor],
        way: Any,
        weights: Sequence[float] = (),
        last: Any = None,
        sources: Sequence[dict[str, str]] = (),
    ) -> Committee:
        target = self.tables.target
        assert target is not None
        classes = bool(target.categories)
        chances = last is None or hasattr(last, "predict_proba")
        outputs = classification_outputs(target, probabilities=chances) if classes else regression_outputs()
        own = [one.source if isinstance(one, Fixed) else {} for one in self.candidates]
        named = sources or (own if len(own) == len(members) else ())
        signature = Signature(self.tables.fields, outputs, target)
        return Committee(signature, members, way, [float(weight) for weight in weights], last, named)

    def _last(self, asked: Any) -> Any:
        """model.params.final_estimator: a learner's name, or {use: , params: }; scikit-learn's usual one when it is not
        named."""
        if asked is None:
            from sklearn.linear_model import LogisticRegression, Ridge

            return LogisticRegression() if self.task == "classification" else Ridge()
        named = {"use": asked} if isinstance(asked, str) else asked
        where = "model.params.final_estimator"
        if not isinstance(named, dict) or not named.keys() <= {"use", "params"} or "use" not in named:
            raise InvalidRequest("is a learner's name, or {use: , params: }", where)
        if named["use"] in BOOSTERS:
            raise InvalidRequest(f"{named['use']} keeps its own format: take a learner of scikit-learn's here", where)
        try:
            return estimator(str(named["use"]), self.task, dict(named.get("params") or {}), self.spec.seed)
        except InvalidRequest as error:
            raise InvalidRequest(error.reason, where) from error

    def _learners(self, why: str) -> list[Learned]:
        for place, one in enumerate(self.candidates):
            if isinstance(one, Fixed):
                raise InvalidRequest(f"{why}: use voting, stacking or boosting for models", f"members.{place}.hub")
        return [one for one in self.candidates if not isinstance(one, Fixed)]

    def _need_two(self) -> None:
        if len(self.candidates) < 2:
            raise InvalidRequest(f"{self.spec.model.use} needs at least two", "members")

    def _with_every_class(self, places: Array, draw: Any) -> Array:
        import numpy as np

        if self._label() is None:
            return places
        answers = self._answers()
        missing = np.setdiff1d(answers, answers[places])
        more = [draw.choice(np.flatnonzero(answers == code)) for code in missing]
        return np.concatenate([places, np.array(more, places.dtype)])

    def _label(self) -> Field | None:
        target = self.tables.target
        assert target is not None
        return target if target.categories else None

    def _answers(self) -> Array:
        assert self.tables.target is not None
        return answers_of(self.tables.train, self.tables.target)

    def _all(self) -> Array:
        import numpy as np

        return np.arange(len(self.tables.train))


def _whole(params: dict[str, Any], name: str, usual: int, least: int) -> int:
    value = params.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1000:
        raise InvalidRequest(f"a whole number from {least} to 1000", f"model.params.{name}")
    return value


def _are_weights(value: Any, count: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 for one in value):
        return False
    return sum(value) > 0
