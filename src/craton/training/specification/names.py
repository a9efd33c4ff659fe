"""The words that specifications may use, without importing a library: learners and metrics by method."""

from __future__ import annotations

SPACES = "spaces/"
"""How an environment that lies in a repository begins."""

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
CLUSTERING_METRICS = ("silhouette", "davies_bouldin", "calinski_harabasz", "clusters", "noise", "inertia", "bic", "aic")
REDUCTION_METRICS = ("explained_variance", "kl_divergence", "trustworthiness")

FAIRNESS_METRICS = (
    "demographic_parity_difference",
    "equalized_odds_difference",
    "group_error_difference",
    "group_mean_difference",
)
"""What a report adds where a sensitive column is named."""

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
CLUSTERING = frozenset({"bayesian-gaussian-mixture", "gaussian-mixture", "hdbscan", "kmeans", "mini-batch-kmeans"})
LEARNERS: dict[str, frozenset[str]] = {
    "classification": frozenset(SUPERVISED | {"logistic-regression", "naive-bayes"}),
    "regression": frozenset(SUPERVISED | {"bayesian-ridge", "elastic-net", "huber", "lasso", "linear-regression"}),
    "clustering": CLUSTERING,
    "reduction": frozenset({"pca", "t-sne", "umap"}),
    "topics": CLUSTERING,
    "semi-supervised": frozenset({"label-propagation", "label-spreading", "self-training"}),
    "ensemble": frozenset({"bagging", "boosting", "stacking", "voting"}),
}
"""Method -> what `model.use` may be. A method that is not here checks it when it runs."""

METRICS: dict[str, tuple[str, ...]] = {
    "classification": CLASSIFICATION_METRICS,
    "regression": REGRESSION_METRICS,
    "clustering": CLUSTERING_METRICS,
    "reduction": REDUCTION_METRICS,
    "topics": CLUSTERING_METRICS,
    "ensemble": (*CLASSIFICATION_METRICS, *REGRESSION_METRICS, "best_member", "gain"),
    "semi-supervised": (*CLASSIFICATION_METRICS, "gain", "hidden_labels_accuracy", "labeled_only_accuracy"),
}
"""Method -> what `eval` may name, likewise."""
