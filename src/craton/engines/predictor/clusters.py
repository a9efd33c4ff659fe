"""What was learned without labels: groups of rows, and rows in other coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from craton.core.errors import Damaged
from craton.core.predicting import PredictVerb, Signature
from craton.engines.predictor.arrays import load_arrays, save_arrays
from craton.engines.predictor.density import DensityGroups
from craton.engines.predictor.manifest import Manifest
from craton.engines.predictor.placing import Neighbourhood
from craton.engines.predictor.preprocessing import encode
from craton.engines.predictor.signatures import PREDICTION, PROBABILITIES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

COORDINATES = "coordinates"
BEFORE = "before.skops"
Kind = Literal["estimator", "density", "neighbourhood", "places"]


class Estimator:
    """scikit-learn's own: KMeans, a mixture, PCA."""

    FILE: ClassVar[str] = "model.skops"

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def codes(self, matrix: Array) -> Array:
        found: Array = self.estimator.predict(matrix)
        return found

    def probabilities(self, matrix: Array) -> Array:
        found: Array = self.estimator.predict_proba(matrix)
        return found

    def coordinates(self, matrix: Array) -> Array:
        found: Array = self.estimator.transform(matrix)
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        from craton.engines.predictor.trusted import save_skops

        save_skops(self.estimator, folder / self.FILE)
        return {}

    @classmethod
    def read(cls, folder: Path, parameters: dict[str, Any]) -> Estimator:
        from craton.engines.predictor.trusted import load_skops

        estimator = load_skops(folder / cls.FILE)
        if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
            raise Damaged(cls.FILE, "it holds no estimator")
        return cls(estimator)


class Places:
    """Where t-SNE put the training rows. There is no place for any other row, so it is asked for nothing."""

    FILE: ClassVar[str] = "places.safetensors"

    def __init__(self, places: Array) -> None:
        self.places = places

    def save(self, folder: Path) -> dict[str, Any]:
        save_arrays(folder / self.FILE, {"places": self.places})
        return {}

    @classmethod
    def read(cls, folder: Path, parameters: dict[str, Any]) -> Places:
        return cls(load_arrays(folder / cls.FILE, {"places": 2})["places"])


Model = Estimator | DensityGroups | Neighbourhood | Places
_KINDS: dict[Kind, type[Model]] = {
    "estimator": Estimator,
    "density": DensityGroups,
    "neighbourhood": Neighbourhood,
    "places": Places,
}


class ClusterPredictor:
    """predict: the group of a row, by the signature's names; the last category of one that knows noise is noise.

    before: what fills and scales the numbers first, fitted; None where nothing has to be done.
    """

    def __init__(self, signature: Signature, before: Any | None, model: Model) -> None:
        self._signature, self.before, self.model = signature, before, model

    @property
    def signature(self) -> Signature:
        return self._signature

    def matrix(self, rows: pd.DataFrame) -> Array:
        """The rows as the model takes them."""
        matrix: Array = encode(rows, self._signature.inputs, "one-hot")
        return matrix if self.before is None or not len(matrix) else self.before.transform(matrix)

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Array]:
        matrix, model = self.matrix(rows), self.model
        if verb == "transform" and isinstance(model, Estimator | Neighbourhood):
            return {COORDINATES: model.coordinates(matrix)}
        if verb == "predict" and isinstance(model, Estimator | DensityGroups):
            return {PREDICTION: self._names()[model.codes(matrix)]}  # noise is -1: the last one
        if verb == "predict_proba" and isinstance(model, Estimator):
            found = model.probabilities(matrix)
            return {PREDICTION: self._names()[found.argmax(axis=1)], PROBABILITIES: found}
        raise Damaged("model.json", f"such a model does not know {verb!r}")

    def _names(self) -> Array:
        import numpy as np

        return np.array(self._signature.outputs["predict"][0].categories, dtype=object)

    def save(self, folder: Path) -> dict[str, Any]:
        from craton.engines.predictor.trusted import save_skops

        if self.before is not None:
            save_skops(self.before, folder / BEFORE)
        kind = next(name for name, one in _KINDS.items() if type(self.model) is one)
        return {"kind": kind, "before": self.before is not None, **self.model.save(folder)}

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> ClusterPredictor:
        """Raises Damaged."""
        from craton.engines.predictor.trusted import load_skops

        parameters = manifest.parameters
        kind = _KINDS.get(parameters.get("kind", ""))
        if kind is None:
            raise Damaged("model.json", "its parameters are not those of clusters")
        before = load_skops(folder / BEFORE) if parameters.get("before") else None
        return cls(manifest.signature, before, kind.read(folder, parameters))
