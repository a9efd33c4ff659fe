"""Models that learn from single rows: River's, kept as JSON of Craton's own.

Before a row is learned it is predicted: how often that was right (progressive validation; Gama, Sebastiao and
Rodrigues, "On evaluating stream learning algorithms", 2013) is what the model knows of itself, and what its drift
detector hears.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from craton.core.errors import Damaged, InvalidRequest, Unsupported
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.preprocessing import codes, encode, names
from craton.engines.predictor.river_codecs.reading import from_json
from craton.engines.predictor.river_codecs.writing import to_json
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES

if TYPE_CHECKING:
    import pandas as pd

    from craton.engines.predictor.protocol import Column

FILE = "learner.json"
MAX_BYTES = 512 * 1024 * 1024

Kind = Literal["binary", "multiclass", "regression"]
Take = Literal["numbers", "mixed"]
"""What the model takes of a category: a number for each of its values (0 or 1), or the value itself (trees do)."""

Row = dict[str, Any]


@dataclass(slots=True)
class Tally:
    """What was seen, and how well it was predicted before it was learned. error: a wrong label, or the distance."""

    seen: int = 0
    error: float = 0.0
    drifts: list[int] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "error": self.error, "drifts": self.drifts}


class RiverLearner:
    """scaler: a StandardScaler of River's, or None. detector: of drift, or None. Both learn with the model."""

    def __init__(
        self,
        signature: Signature,
        model: Any,
        *,
        kind: Kind,
        take: Take = "numbers",
        scaler: Any = None,
        detector: Any = None,
        tally: Tally | None = None,
    ) -> None:
        if signature.target is None:
            raise TypeError("a learner's signature names its target")
        self._signature, self._target = signature, signature.target
        self._model, self._kind, self._take = model, kind, take
        self._scaler, self._detector = scaler, detector
        self.tally = tally or Tally()

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Column]:
        import numpy as np

        if self._kind == "regression":
            return {PREDICTION: np.array([self.number(row) for row in self.rows(rows)], np.float64)}
        shares = np.array([self.shares(row) for row in self.rows(rows)], np.float64)
        shares = shares.reshape(len(rows), len(self._target.categories))
        labels = np.array(self._target.categories, dtype=object)
        found: dict[str, Column] = {PREDICTION: labels[shares.argmax(axis=1)]}
        if verb == "predict_proba":
            found[PROBABILITIES] = shares
        return found

    def learn(self, rows: pd.DataFrame, target: list[Any]) -> dict[str, Any]:
        """Raises InvalidRequest, before anything is learned, for a target that is not one of the categories."""
        answers = self.answers(target)
        drifted = False
        for row, answer in zip(self.rows(rows), answers, strict=True):
            drifted |= self.take_in(row, answer)[1]
        tally = self.tally
        measure = "mean_error" if self._kind == "regression" else "accuracy"
        mean = tally.error / tally.seen if tally.seen else 0.0
        value = mean if self._kind == "regression" else 1.0 - mean
        return {"seen": tally.seen, "drift": drifted, "drifts": len(tally.drifts), measure: value}

    def answers(self, target: list[Any]) -> list[Any]:
        """As the model takes them: the place among the categories (a bool when there are two), or a number."""
        if self._kind == "regression":
            return [_number(value, index) for index, value in enumerate(target)]
        places = codes(target, self._target.categories).tolist()
        if -1 in places:
            wrong = places.index(-1)
            known = ", ".join(repr(category) for category in self._target.categories[:10])
            raise InvalidRequest(f"{target[wrong]!r} is not one of {known}.", f"target[{wrong}]")
        return [bool(place) for place in places] if self._kind == "binary" else places

    def rows(self, rows: pd.DataFrame) -> Iterator[Row]:
        """As the model takes them. What is missing is left out, as River wants it."""
        inputs = self._signature.inputs
        nominal = [one for one in inputs if one.kind == "category"] if self._take == "mixed" else []
        plain = [one for one in inputs if one not in nominal]
        matrix, columns = encode(rows, plain, "one-hot"), names(plain, "one-hot")
        values = {one.name: codes(rows[one.name], one.categories).tolist() for one in nominal}
        for index, numbers in enumerate(matrix.tolist()):
            row: Row = {name: number for name, number in zip(columns, numbers, strict=True) if number == number}  # noqa: PLR0124
            for one in nominal:
                if (place := values[one.name][index]) >= 0:
                    row[one.name] = str(one.categories[place])
            yield row

    def number(self, row: Row) -> float:
        return float(self._model.predict_one(self._scaled(row)))

    def shares(self, row: Row) -> list[float]:
        """A probability for each category; equal ones while nothing was learned."""
        found = self._model.predict_proba_one(self._scaled(row))
        shares = [max(float(found.get(place, 0.0)), 0.0) for place in range(len(self._target.categories))]
        total = sum(shares)
        return [share / total for share in shares] if total > 0 else [1 / len(shares)] * len(shares)

    def take_in(self, row: Row, answer: Any) -> tuple[Any, bool]:
        """Predicts (shares of the categories, or a number), then learns. Also says whether drift was found here."""
        if self._kind == "regression":
            predicted: Any = self.number(row)
            error = abs(predicted - answer)
        else:
            predicted = self.shares(row)
            error = float(predicted.index(max(predicted)) != int(answer))
        if self._scaler is not None:
            self._scaler.learn_one(row)
        self._model.learn_one(self._scaled(row), answer)
        self.tally.seen += 1
        self.tally.error += error
        return predicted, self._drifted(error)

    def _scaled(self, row: Row) -> Row:
        return row if self._scaler is None else self._scaler.transform_one(row)

    def _drifted(self, error: float) -> bool:
        if self._detector is None:
            return False
        self._detector.update(error)
        if self._detector.drift_detected:
            self.tally.drifts.append(self.tally.seen)
        return bool(self._detector.drift_detected)

    def save(self, folder: Path) -> dict[str, Any]:
        parts = {"model": self._model, "scaler": self._scaler, "detector": self._detector}
        written = {name: None if part is None else to_json(part) for name, part in parts.items()}
        text = json.dumps({**written, "tally": self.tally.state()}, allow_nan=False, separators=(",", ":"))
        (folder / FILE).write_text(text, "utf-8")
        return {"kind": self._kind, "take": self._take, "river": version("river")}

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> RiverLearner:
        """Raises Damaged; Unsupported for another River, whose objects may hold something else."""
        parameters, path = manifest.parameters, folder / FILE
        written, here = str(parameters.get("river")), version("river")
        if minor(written) != minor(here):
            raise Unsupported(f"A model of River {written[:20]} with River {here}", "Train it again.")
        kind, take = parameters.get("kind"), parameters.get("take")
        if kind not in {"binary", "multiclass", "regression"} or take not in {"numbers", "mixed"}:
            raise Damaged(FILE, "its description is not complete")
        if path.stat().st_size > MAX_BYTES:
            raise Damaged(FILE, f"it is larger than {MAX_BYTES:,} bytes")
        try:
            read = json.loads(path.read_bytes())
            parts = {
                name: None if read[name] is None else from_json(read[name], FILE)
                for name in ("model", "scaler", "detector")
            }
            tally = Tally(**read["tally"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Damaged(FILE, "it is not a learner that was saved here") from error
        return cls(manifest.signature, **parts, kind=kind, take=take, tally=tally)


def minor(release: str) -> str:
    """Of a version, what must be equal: River changes its objects with its second number."""
    return ".".join(release.split(".")[:2])


def _number(value: Any, index: int) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise InvalidRequest("The target is not a number.", f"target[{index}]") from None
    if found - found != 0:
        raise InvalidRequest("The target is not finite.", f"target[{index}]")
    return found
