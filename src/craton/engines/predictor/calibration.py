"""Probabilities fitted to what really happens: Platt's sigmoid, or an isotonic curve, over a classifier's scores.

Platt, "Probabilistic outputs for support vector machines" (1999); Zadrozny and Elkan, "Transforming classifier scores
into accurate multiclass probability estimates" (2002). As scikit-learn's CalibratedClassifierCV computes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Curve(Struct, frozen=True, omit_defaults=True):
    """Of one class. slope and offset: of the sigmoid 1 / (1 + exp(slope * score + offset)). x, y: the isotonic curve's
    corners."""

    slope: float = 0.0
    offset: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


class Calibration(Struct, frozen=True, omit_defaults=True):
    """response: which of the classifier's scores. curves: one for each class; one in all where there are two."""

    method: Literal["sigmoid", "isotonic"]
    response: Literal["decision_function", "predict_proba"]
    curves: tuple[Curve, ...]

    def probabilities(self, scores: Array) -> Array:
        """scores: shape (rows,) for two classes (those of the second), else (rows, classes). Rows of the result add up
        to one."""
        import numpy as np

        columns = scores.reshape(len(scores), -1)
        found = np.column_stack([self._fitted(curve, columns[:, at]) for at, curve in enumerate(self.curves)])
        if len(self.curves) == 1:
            return np.column_stack([1.0 - found[:, 0], found[:, 0]])
        total = found.sum(axis=1, keepdims=True)
        even = np.full_like(found, 1 / len(self.curves))
        scaled: Array = np.divide(found, total, out=even, where=total > 0)
        return scaled

    def _fitted(self, curve: Curve, scores: Array) -> Array:
        import numpy as np
        from scipy.special import expit

        fitted: Array
        if self.method == "sigmoid":
            fitted = expit(-(curve.slope * scores + curve.offset))
        else:
            fitted = np.interp(scores, curve.x, curve.y)
        return fitted
