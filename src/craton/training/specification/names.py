"""The words that specifications may use, without importing a library: learners and metrics by method."""

from __future__ import annotations

CLASSIFICATION_METRICS = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "f1",
    "log_loss",
    "precision",
    "recall",
    "roc_auc",
)
REGRESSION_METRICS = ("mae", "mape", "max_error", "median_absolute_error", "r2", "rmse")

SUPERVISED = {
    "decision-tree",
    "dummy",
    "extra-trees",
    "gradient-boosting",
    "hist-gradient-boosting",
    "k-nearest-neighbors",
    "lightgbm",
    "linear-svm",
    "mlp",
    "random-forest",
    "ridge",
    "sgd",
    "svm",
    "xgboost",
}
LEARNERS: dict[str, frozenset[str]] = {
    "classification": frozenset(SUPERVISED | {"logistic-regression", "naive-bayes"}),
    "regression": frozenset(SUPERVISED | {"bayesian-ridge", "elastic-net", "huber", "lasso", "linear-regression"}),
}
"""Method -> what `model.use` may be. A method that is not here checks it when it runs."""

METRICS: dict[str, tuple[str, ...]] = {
    "classification": CLASSIFICATION_METRICS,
    "regression": REGRESSION_METRICS,
}
"""Method -> what `eval` may name, likewise."""
