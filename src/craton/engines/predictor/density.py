"""Clusters of HDBSCAN and the rows that come later.

Campello, Moulavi and Sander, "Density-based clustering based on hierarchical density estimates" (2013). scikit-learn's
HDBSCAN knows the rows it was fitted on alone; a new one is placed as the hdbscan library's `approximate_predict` does
(McInnes, Healy and Astels, 2017): it belongs to the cluster of its nearest training row, nearness being mutual
reachability, unless it is farther away than the cluster was from everything else when it came to be. It is then noise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from craton.core.errors import Damaged
from craton.engines.predictor.arrays import load_arrays, save_arrays

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

METRICS = ("chebyshev", "euclidean", "manhattan")
NOISE = -1


class DensityGroups:
    """rows: the training rows. groups: of each, NOISE for none. cores: the distance to its `samples`-th neighbour.
    births: of each cluster, the mutual reachability at which it parted from the rest."""

    FILE: ClassVar[str] = "clusters.safetensors"

    def __init__(self, rows: Array, groups: Array, cores: Array, births: Array, samples: int, metric: str) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._rows, self._groups, self._cores, self._births = rows, groups, cores, births
        self._samples, self._metric = samples, metric
        self._near = NearestNeighbors(n_neighbors=min(2 * samples, len(rows)), metric=metric).fit(rows)

    @classmethod
    def of(cls, fitted: Any, rows: Array, metric: str) -> DensityGroups:
        """fitted: scikit-learn's, on these rows."""
        import numpy as np
        from sklearn.neighbors import NearestNeighbors

        samples = min(fitted.min_samples or fitted.min_cluster_size, len(rows))
        near = NearestNeighbors(n_neighbors=samples, metric=metric).fit(rows)
        cores = near.kneighbors(rows)[0][:, -1]
        groups = fitted.labels_.astype(np.int64)
        return cls(rows, groups, cores, _births(fitted._single_linkage_tree_, groups), samples, metric)

    def codes(self, matrix: Array) -> Array:
        """The cluster of each row, NOISE for none."""
        import numpy as np

        if not len(matrix):
            return np.empty(0, np.int64)
        distances, places = self._near.kneighbors(matrix)
        own = distances[:, min(self._samples, distances.shape[1]) - 1][:, None]
        reach = np.maximum(np.maximum(distances, self._cores[places]), own)
        nearest = reach.argmin(axis=1)
        rows = np.arange(len(matrix))
        groups: Array = self._groups[places[rows, nearest]]
        if not len(self._births):
            return groups
        near_enough = reach[rows, nearest] <= self._births[groups]
        return np.where((groups != NOISE) & near_enough, groups, NOISE)

    def save(self, folder: Path) -> dict[str, Any]:
        arrays = {"rows": self._rows, "groups": self._groups, "cores": self._cores, "births": self._births}
        save_arrays(folder / self.FILE, arrays)
        return {"samples": self._samples, "metric": self._metric}

    @classmethod
    def read(cls, folder: Path, parameters: dict[str, Any]) -> DensityGroups:
        """Raises Damaged."""
        found = load_arrays(folder / cls.FILE, {"rows": 2, "groups": 1, "cores": 1, "births": 1})
        samples, metric = parameters.get("samples"), parameters.get("metric")
        rows, groups, births = found["rows"], found["groups"], found["births"]
        if not isinstance(samples, int) or not 1 <= samples <= len(rows) or metric not in METRICS:
            raise Damaged(cls.FILE, "its parameters are not those of HDBSCAN")
        if not len(rows) == len(groups) == len(found["cores"]) or not (
            groups.min() >= NOISE and groups.max() < len(births)
        ):
            raise Damaged(cls.FILE, "its arrays do not fit each other")
        return cls(rows, groups, found["cores"], births, samples, metric)


def _births(tree: Any, groups: Array) -> Array:
    """tree: single linkage, rows (left, right, distance, size) by distance. A cluster is a whole branch of it; it parts
    from the rest where the branch is joined to another. Infinite for one that holds all rows."""
    import numpy as np

    count = len(groups)
    sizes = np.bincount(groups[groups >= 0], minlength=groups.max(initial=-1) + 1)
    births = np.full(len(sizes), np.inf)
    owner = np.concatenate([groups, np.full(len(tree), NOISE)])  # of each branch: the cluster that all its rows have
    held = np.ones(count + len(tree), np.int64)
    for at, (left, right, distance, size) in enumerate(tree.tolist(), count):
        held[at] = size
        if owner[left] == owner[right]:
            owner[at] = owner[left]
            continue
        for branch in (left, right):
            if owner[branch] != NOISE and held[branch] == sizes[owner[branch]]:
                births[owner[branch]] = distance
    return births
