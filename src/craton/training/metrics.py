"""How good predictions are. scikit-learn's figures under short names, each left out where it is not defined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from craton.training.specification.names import CLASSIFICATION_METRICS, REGRESSION_METRICS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def classification_metrics(
    truth: Array, predicted: Array, probabilities: Array | None, classes: int, wanted: Sequence[str] | None = None
) -> dict[str, float]:
    """truth, predicted: codes of classes (-1 in truth: a class that the model never saw, which no prediction hits).

    probabilities: shape (rows, classes), or None. f1, precision and recall are of the last class where there are two
    (of sorted labels: "yes", 1, True), else the plain mean over all classes.
    """
    from sklearn import metrics

    names = CLASSIFICATION_METRICS if wanted is None else wanted
    binary = classes == 2 and bool((truth >= 0).all())
    averaging: dict[str, Any] = {"average": "binary" if binary else "macro", "zero_division": 0.0}
    known = truth >= 0
    seen, judged = truth[known], None if probabilities is None else probabilities[known]
    figures: dict[str, Callable[[], Any]] = {
        "accuracy": lambda: metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(truth, predicted),
        "f1": lambda: metrics.f1_score(truth, predicted, **averaging),
        "precision": lambda: metrics.precision_score(truth, predicted, **averaging),
        "recall": lambda: metrics.recall_score(truth, predicted, **averaging),
        "roc_auc": lambda: _roc_auc(seen, judged, classes),
        "average_precision": lambda: _average_precision(seen, judged, classes),
        "log_loss": lambda: math.nan if judged is None else metrics.log_loss(seen, judged, labels=range(classes)),
        "brier": lambda: _brier(seen, judged),
    }
    return _defined({name: float(figures[name]()) for name in names if len(truth) and name in figures})


def regression_metrics(truth: Array, predicted: Array, wanted: Sequence[str] | None = None) -> dict[str, float]:
    from sklearn import metrics

    names = REGRESSION_METRICS if wanted is None else wanted
    figures = {
        "mae": metrics.mean_absolute_error,
        "mape": metrics.mean_absolute_percentage_error,
        "max_error": metrics.max_error,
        "median_absolute_error": metrics.median_absolute_error,
        "r2": metrics.r2_score if len(truth) > 1 else lambda *_: math.nan,
        "rmse": metrics.root_mean_squared_error,
    }
    return _defined({name: float(figures[name](truth, predicted)) for name in names if len(truth) and name in figures})


def _roc_auc(truth: Array, probabilities: Array | None, classes: int) -> float:
    """One class against the rest, the plain mean over the classes where there are more than two."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if probabilities is None or len(np.unique(truth)) < classes:
        return math.nan
    if classes == 2:
        return float(roc_auc_score(truth, probabilities[:, 1]))
    return float(roc_auc_score(np.eye(classes)[truth], probabilities, average="macro"))


def _average_precision(truth: Array, probabilities: Array | None, classes: int) -> float:
    import numpy as np
    from sklearn.metrics import average_precision_score

    if probabilities is None or len(np.unique(truth)) < classes:
        return math.nan
    if classes == 2:
        return float(average_precision_score(truth, probabilities[:, 1]))
    return float(average_precision_score(np.eye(classes)[truth], probabilities, average="macro"))


def _brier(truth: Array, probabilities: Array | None) -> float:
    """The mean squared distance from what happened; over all classes where there are more than two (Brier, 1950)."""
    import numpy as np

    if probabilities is None:
        return math.nan
    if probabilities.shape[1] == 2:
        return float(np.mean((probabilities[:, 1] - truth) ** 2))
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2, axis=1)))


def _defined(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if math.isfinite(value)}
