"""A predictor's answers beside the truth, the same for every kind of model that predicts a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field
from craton.engines.predictor.preprocessing import codes
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import LOWER, PREDICTION, PROBABILITIES, UPPER

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """Of classes: codes (-1 in truth: a class that no training row has). Of numbers: the numbers.

    bounds: the lower and the upper one of each number, where the model gives them.
    """

    target: Field
    truth: Array
    predicted: Array
    probabilities: Array | None
    bounds: tuple[Array, Array] | None = None

    @property
    def classes(self) -> bool:
        return bool(self.target.categories)

    @property
    def loss(self) -> float:
        """What a worse model has more of: the share of errors, or the root of the mean squared error."""
        return float(self.losses(1)[0])

    def losses(self, parts: int) -> Array:
        """Of each of so many equal parts."""
        import numpy as np

        truth, predicted = self.truth.reshape(parts, -1), self.predicted.reshape(parts, -1)
        found: Array
        if self.classes:
            found = np.mean(truth != predicted, axis=1)
        else:
            found = np.sqrt(np.mean((truth - predicted) ** 2, axis=1))
        return found


def judged(predictor: Predictor, rows: pd.DataFrame, target: Field) -> Judged:
    """rows: as the predictor takes them, with the target."""
    import numpy as np

    if not target.categories:
        truth = rows[target.name].to_numpy(dtype=np.float64, na_value=np.nan)
        said = {name: np.asarray(values, np.float64) for name, values in predictor.run("predict", rows).items()}
        bounds = (said[LOWER], said[UPPER]) if said.keys() >= {LOWER, UPPER} else None
        return Judged(target, truth, said[PREDICTION], None, bounds)
    verb = "predict_proba" if "predict_proba" in predictor.signature.outputs else "predict"
    found = predictor.run(verb, rows)  # type: ignore[arg-type]
    predicted = codes(found[PREDICTION], target.categories)
    return Judged(target, codes(rows[target.name], target.categories), predicted, found.get(PROBABILITIES))
