"""New rows in the picture that UMAP made of the training rows.

McInnes, Healy and Melville, "UMAP: Uniform manifold approximation and projection" (2018): a new row is put at the mean
of its neighbours' places, weighted by its memberships in their fuzzy sets. The library then moves it a little by
stochastic descent; this is left out, so that a row has one place, and serving needs no compiler.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from craton.core.errors import Damaged
from craton.engines.predictor.arrays import load_arrays, save_arrays

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

METRICS = ("chebyshev", "cosine", "euclidean", "manhattan")
_HALVINGS = 64


class Neighbourhood:
    """rows: the training rows; places: where UMAP put each."""

    FILE: ClassVar[str] = "places.safetensors"

    def __init__(self, rows: Array, places: Array, neighbors: int, metric: str) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._rows, self._places, self._neighbors, self._metric = rows, places, neighbors, metric
        self._near = NearestNeighbors(n_neighbors=min(neighbors, len(rows)), metric=metric).fit(rows)

    def coordinates(self, matrix: Array) -> Array:
        """A training row keeps its own place."""
        import numpy as np

        if not len(matrix):
            return np.empty((0, self._places.shape[1]))
        distances, near = self._near.kneighbors(matrix)
        weights = memberships(distances)
        found: Array = (weights[:, :, None] * self._places[near]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        same = distances[:, 0] == 0
        found[same] = self._places[near[same, 0]]
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        save_arrays(folder / self.FILE, {"rows": self._rows, "places": self._places})
        return {"neighbors": self._neighbors, "metric": self._metric}

    @classmethod
    def read(cls, folder: Path, parameters: dict[str, Any]) -> Neighbourhood:
        """Raises Damaged."""
        found = load_arrays(folder / cls.FILE, {"rows": 2, "places": 2})
        neighbors, metric = parameters.get("neighbors"), parameters.get("metric")
        if not isinstance(neighbors, int) or neighbors < 1 or metric not in METRICS:
            raise Damaged(cls.FILE, "its parameters are not those of UMAP")
        if not 0 < len(found["rows"]) == len(found["places"]):
            raise Damaged(cls.FILE, "its arrays do not fit each other")
        return cls(found["rows"], found["places"], neighbors, metric)


def memberships(distances: Array) -> Array:
    """exp(-distance / width), the width of each row such that its memberships add up to log2 of their number."""
    import numpy as np

    wanted = np.log2(max(distances.shape[1], 2))
    mean = distances.mean(axis=1, keepdims=True)
    scaled = np.divide(distances, mean, out=np.zeros_like(distances), where=mean > 0)
    low, high = np.full_like(mean, 1e-3), np.full_like(mean, 1e3)
    for _ in range(_HALVINGS):
        width = np.sqrt(low * high)
        too_much = np.exp(-scaled / width).sum(axis=1, keepdims=True) > wanted
        low, high = np.where(too_much, low, width), np.where(too_much, width, high)
    found: Array = np.exp(-scaled / np.sqrt(low * high))
    return found
