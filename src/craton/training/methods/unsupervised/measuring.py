"""How good groups are by themselves, without knowing the right ones. Rows that are noise belong to no group.

Rousseeuw, "Silhouettes" (1987); Davies and Bouldin, "A cluster separation measure" (1979); Calinski and Harabasz, "A
dendrite method for cluster analysis" (1974); trustworthiness: Venna and Kaski (2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from craton.training.specification.names import CLUSTERING_METRICS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SAMPLE = 5000  # rows whose distances to each other are taken
NEIGHBOURS = 5
NOISE = -1


def group_metrics(matrix: Array, groups: Array, seed: int, wanted: Sequence[str] | None = None) -> dict[str, float]:
    """silhouette (of SAMPLE rows where there are more), davies_bouldin and calinski_harabasz are left out where there
    are fewer than two groups."""
    import numpy as np
    from sklearn import metrics

    names = CLUSTERING_METRICS if wanted is None else wanted
    inside = groups != NOISE
    rows, own = matrix[inside], groups[inside]
    count = len(np.unique(own))
    found: dict[str, float] = {"clusters": float(count), "noise": float(1 - inside.mean()) if len(groups) else 0.0}
    if 2 <= count < len(rows):
        if "silhouette" in names:
            found["silhouette"] = _silhouette(rows, own, seed)
        if "davies_bouldin" in names:
            found["davies_bouldin"] = float(metrics.davies_bouldin_score(rows, own))
        if "calinski_harabasz" in names:
            found["calinski_harabasz"] = float(metrics.calinski_harabasz_score(rows, own))
    return {name: value for name, value in found.items() if name in names}


def trustworthiness(matrix: Array, places: Array, seed: int) -> float | None:
    """Whether neighbours in the picture are neighbours in truth, from 0 to 1. None with too few rows."""
    from sklearn.manifold import trustworthiness as measured

    chosen = _sample(len(matrix), seed)
    if len(chosen) < 4 * NEIGHBOURS:
        return None
    return float(measured(matrix[chosen], places[chosen], n_neighbors=NEIGHBOURS))


def _silhouette(rows: Array, groups: Array, seed: int) -> float:
    import numpy as np
    from sklearn.metrics import silhouette_score

    chosen = _sample(len(rows), seed)
    if not 2 <= len(np.unique(groups[chosen])) < len(chosen):
        return 0.0
    return float(silhouette_score(rows[chosen], groups[chosen]))


def _sample(count: int, seed: int) -> Array:
    import numpy as np

    if count <= SAMPLE:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, SAMPLE, replace=False))
