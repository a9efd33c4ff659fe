"""Fits a calibration to scores that a classifier gave rows it had not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from craton.core.errors import InvalidRequest
from craton.engines.predictor.calibration import Calibration, Curve
from craton.training.methods.supervised.learners import fit

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Method = Literal["sigmoid", "isotonic"]
FOLDS = 5


def calibration(
    fresh: Callable[[], Any], matrix: Array, answers: Array, weights: Array | None, method: Method
) -> Calibration:
    """What CalibratedClassifierCV(ensemble=False, cv=5) fits: scores by cross-validation, one curve over all of them.

    fresh: makes the estimator to be calibrated. Raises InvalidRequest when a class is too rare to be split.
    """
    import numpy as np
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(answers)
    if counts.min() < FOLDS:
        raise InvalidRequest(f"needs {FOLDS} training rows of each class; one has {counts.min()}", "calibrate")
    response: Literal["decision_function", "predict_proba"] = (
        "decision_function" if hasattr(fresh(), "decision_function") else "predict_proba"
    )
    scores: Array | None = None
    for train, rest in StratifiedKFold(FOLDS).split(matrix, answers):
        fitted = fit(fresh(), matrix[train], answers[train], None if weights is None else weights[train])
        found = getattr(fitted, response)(matrix[rest])
        if scores is None:
            scores = np.empty((len(answers), *found.shape[1:]))
        scores[rest] = found
    assert scores is not None
    if response == "predict_proba" and len(counts) == 2:
        scores = scores[:, 1]
    known = _scores_as_rows(len(counts)).fit()
    fitting = CalibratedClassifierCV(FrozenEstimator(known), method=method)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Since FrozenEstimator")  # weights count in the calibration alone: so it is
        fitting.fit(scores.reshape(len(scores), -1), answers, sample_weight=weights)
    curves = [_curve(one) for one in fitting.calibrated_classifiers_[0].calibrators]
    return Calibration(method, response, tuple(curves))


def _curve(fitted: Any) -> Curve:
    if hasattr(fitted, "X_thresholds_"):
        return Curve(x=tuple(fitted.X_thresholds_.tolist()), y=tuple(fitted.y_thresholds_.tolist()))
    return Curve(slope=float(fitted.a_), offset=float(fitted.b_))


def _scores_as_rows(classes: int) -> Any:
    """A classifier whose rows are their scores already."""
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Known(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, matrix: Any = None, answers: Any = None) -> Any:
            self.classes_ = np.arange(classes)
            return self

        def decision_function(self, matrix: Array) -> Array:
            return matrix[:, 0] if classes == 2 else matrix

        def predict(self, matrix: Array) -> Array:
            found: Array = self.decision_function(matrix)
            return (found > 0).astype(int) if classes == 2 else found.argmax(axis=1)

    return Known()
