"""The learners by short names, and the rows as they take them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor import density, placing
from craton.engines.predictor.clusters import Estimator, Model, Places
from craton.engines.predictor.density import DensityGroups
from craton.engines.predictor.placing import Neighbourhood
from craton.engines.predictor.preprocessing import encode
from craton.training.specification.suggesting import did_you_mean, unknown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

Purpose = Literal["clustering", "reduction"]


class Known(Struct, frozen=True):
    """where: "module:Class". metrics: distances that new rows can be placed by; () where the learner takes none.
    defaults: parameters of ours, which the specification's own come before."""

    where: str
    purpose: Purpose
    metrics: tuple[str, ...] = ()
    defaults: dict[str, Any] = {}


KNOWN = {
    "bayesian-gaussian-mixture": Known("sklearn.mixture:BayesianGaussianMixture", "clustering"),
    "gaussian-mixture": Known("sklearn.mixture:GaussianMixture", "clustering"),
    "hdbscan": Known("sklearn.cluster:HDBSCAN", "clustering", density.METRICS, {"copy": True}),
    "kmeans": Known("sklearn.cluster:KMeans", "clustering"),
    "mini-batch-kmeans": Known("sklearn.cluster:MiniBatchKMeans", "clustering"),
    "pca": Known("sklearn.decomposition:PCA", "reduction"),
    "t-sne": Known("sklearn.manifold:TSNE", "reduction"),
    "umap": Known("umap:UMAP", "reduction", placing.METRICS, {"n_jobs": 1}),
}


def known(use: str, purpose: Purpose) -> Known:
    """Raises InvalidRequest."""
    found = KNOWN.get(use)
    if found is None or found.purpose != purpose:
        names = [name for name, one in KNOWN.items() if one.purpose == purpose]
        raise InvalidRequest(unknown(f"learner for {purpose}", use, names), "model.use")
    return found


def fresh(use: str, purpose: Purpose, params: Mapping[str, Any], seed: int) -> Any:
    """The library's own estimator. Raises InvalidRequest for parameters that it does not have."""
    entry = known(use, purpose)
    module, _, name = entry.where.partition(":")
    kind = getattr(import_module(module), name)
    names = set(kind().get_params())
    for key in params:
        if key not in names:
            hint = did_you_mean(key, names)
            raise InvalidRequest(f"{name} has no such parameter" + (f"; {hint}" if hint else ""), f"model.params.{key}")
    metric = params.get("metric", "euclidean")
    if entry.metrics and metric not in entry.metrics:
        raise InvalidRequest(
            f"{metric!r:.50}: new rows can be placed by {', '.join(entry.metrics)} alone", "model.params.metric"
        )
    given = {**{key: value for key, value in entry.defaults.items() if key in names}, **params}
    if "random_state" in names and "random_state" not in params:
        given["random_state"] = seed
    return kind(**given)


def fitted(estimator: Any, matrix: Array) -> tuple[Model, Array]:
    """The model, and what it found of these rows: groups of a clustering, coordinates of a reduction.

    Raises InvalidRequest for parameters that do not work with this data.
    """
    try:
        if hasattr(estimator, "fit_predict"):
            found: Array = estimator.fit_predict(matrix)
        else:
            found = estimator.fit_transform(matrix)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(str(error).strip().partition("\n")[0][:500], "model.params") from error
    kind = type(estimator).__name__
    if kind == "HDBSCAN":
        return DensityGroups.of(estimator, matrix, estimator.metric), found
    if kind == "UMAP":
        return Neighbourhood(matrix, found, estimator.n_neighbors, estimator.metric), found
    return (Places(found) if kind == "TSNE" else Estimator(estimator)), found


def before(rows: pd.DataFrame, fields: tuple[Field, ...]) -> tuple[Any | None, Array]:
    """What fills and scales the numbers, fitted (None where nothing has to be done), and the matrix that it gives.

    Every column counts the same, by mean 0 and variance 1; vectors keep their lengths where there is nothing else.
    """
    import numpy as np

    matrix = encode(rows, fields, "one-hot")
    missing, scaled = bool(np.isnan(matrix).any()), not all(field.shape for field in fields)
    if not missing and not scaled:
        return None, matrix
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [("fill", SimpleImputer(strategy="median", keep_empty_features=True))] if missing else []
    prepared = Pipeline([*steps, ("scale", StandardScaler())] if scaled else steps)
    return prepared, prepared.fit_transform(matrix)
