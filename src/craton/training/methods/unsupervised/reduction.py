"""Rows in fewer dimensions.

PCA: Hotelling, "Analysis of a complex of statistical variables into principal components" (1933); UMAP: see
`engines.predictor.placing`; t-SNE: van der Maaten and Hinton, "Visualizing data using t-SNE" (2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field, Signature
from craton.engines.predictor.clusters import COORDINATES, ClusterPredictor, Places
from craton.engines.predictor.signatures import Outputs
from craton.training.data.embedding import embedded
from craton.training.methods.hearing import heard
from craton.training.methods.unsupervised.clustering import refuse_target
from craton.training.methods.unsupervised.learners import before, fitted, fresh
from craton.training.methods.unsupervised.measuring import trustworthiness
from craton.training.protocol import Figure, Run, Tables, Trained
from craton.training.reports.maps import explained, plane
from craton.training.specification.methods import Reduction

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TITLES = {"pca": "Principal components", "t-sne": "t-SNE", "umap": "UMAP"}


def train(spec: Reduction, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest."""
    assert tables is not None
    refuse_target(spec.data.target)
    tables = embedded(tables, run)
    run.check()
    prepared, matrix = before(tables.train, tables.fields)
    with heard(run):
        estimator = fresh(spec.model.use, "reduction", spec.model.params, spec.seed)
        model, places = fitted(estimator, matrix)
    run.check()
    fixed = isinstance(model, Places)
    outputs: Outputs = {} if fixed else {"transform": (Field(COORDINATES, "vector", shape=(places.shape[1],)),)}
    predictor = ClusterPredictor(Signature(tables.fields, outputs), prepared, model)
    metrics, figures = _judged(estimator, matrix, places, spec)
    notes = [f"The figures are of the {len(matrix):,} rows that it was made from."]
    if fixed:
        notes.append(
            "t-SNE gives places to the rows that it was made from, and has none for any other: this model answers no "
            "request. The places are in the report; use pca or umap for a model that transforms new rows."
        )
    if spec.model.use == "umap":
        notes.append(
            "A new row is put at the weighted mean of its nearest training rows' places; the random steps by which the "
            "library then moves it a little are left out, so that a row has one place."
        )
    return Trained(predictor, metrics, figures, notes)


def _judged(estimator: Any, matrix: Array, places: Array, spec: Reduction) -> tuple[dict[str, float], list[Figure]]:
    metrics, figures = {}, [_picture(spec.model.use, places)]
    trusted = trustworthiness(matrix, places, spec.seed)
    if trusted is not None:
        metrics["trustworthiness"] = trusted
    ratios = getattr(estimator, "explained_variance_ratio_", None)
    if ratios is not None:
        metrics["explained_variance"] = float(ratios.sum())
        figures.append(explained(ratios.tolist()))
    if hasattr(estimator, "kl_divergence_"):
        metrics["kl_divergence"] = float(estimator.kl_divergence_)
    wanted = spec.eval.metrics
    return {name: value for name, value in metrics.items() if wanted is None or name in wanted}, figures


def _picture(use: str, places: Array) -> Figure:
    return plane(use.replace("-", "_"), TITLES[use], places, None)
