"""Groups of rows that are alike.

KMeans: Lloyd, "Least squares quantization in PCM" (1982), begun as Arthur and Vassilvitskii say, "k-means++" (2007);
mixtures: Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm" (1977); HDBSCAN: see
`engines.predictor.density`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.clusters import ClusterPredictor, Estimator, Model
from craton.engines.predictor.density import NOISE, DensityGroups
from craton.engines.predictor.signatures import Outputs, classification_outputs
from craton.training.data.embedding import embedded
from craton.training.methods.hearing import heard
from craton.training.methods.unsupervised.learners import before, fitted, fresh
from craton.training.methods.unsupervised.measuring import group_metrics
from craton.training.protocol import Figure, Run, Tables, Trained
from craton.training.reports.maps import plane
from craton.training.reports.profiles import profile
from craton.training.search.folds import folds
from craton.training.search.goals import read_goal
from craton.training.search.searching import Found, search
from craton.training.search.telling import with_search
from craton.training.specification.methods import Clustering
from craton.training.specification.names import CLUSTERING_METRICS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def train(spec: Clustering, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest."""
    assert tables is not None
    refuse_target(spec.data.target)
    tables = embedded(tables, run)
    run.check()
    prepared, matrix = before(tables.train, tables.fields)
    with heard(run):
        found = _searched(spec, matrix, tables, run)
        params = spec.model.params if found is None else {**spec.model.params, **found.params}
        groups = group(spec.model.use, params, spec.seed, matrix)
    run.check()
    predictor = as_predictor(tables.fields, prepared, groups, [*range(groups.count)])
    metrics, notes = judge(predictor, groups, matrix, tables, spec.seed, spec.eval.metrics)
    figures = [pictured(groups, matrix, [*range(groups.count)])]
    if any(not field.shape for field in tables.fields):
        figures.append(profile(tables.train, tables.fields, groups.codes))
    trained = Trained(predictor, metrics, figures, notes)
    return trained if found is None else with_search(trained, found, run)


def refuse_target(target: str | None) -> None:
    """Raises InvalidRequest."""
    if target is not None:
        raise InvalidRequest("nothing is predicted here: list it under data.drop to leave it out", "data.target")


@dataclass(frozen=True, slots=True)
class Groups:
    """codes: of the training rows, NOISE for none. count: of groups."""

    model: Model
    codes: Array
    count: int
    figures: dict[str, float]

    @property
    def noisy(self) -> bool:
        return isinstance(self.model, DensityGroups)


def group(use: str, params: dict[str, Any], seed: int, matrix: Array) -> Groups:
    """Raises InvalidRequest."""
    estimator = fresh(use, "clustering", params, seed)
    model, codes = fitted(estimator, matrix)
    count = int(getattr(estimator, "n_components", 0) or getattr(estimator, "n_clusters", 0) or codes.max() + 1)
    figures = {}
    if hasattr(estimator, "inertia_"):
        figures["inertia"] = float(estimator.inertia_)
    if hasattr(estimator, "bic"):
        figures |= {"bic": float(estimator.bic(matrix)), "aic": float(estimator.aic(matrix))}
    return Groups(model, codes, count, figures)


def as_predictor(fields: tuple[Field, ...], prepared: Any | None, groups: Groups, names: list[Any]) -> ClusterPredictor:
    """names: of the groups."""
    noise = "noise" if names and isinstance(names[0], str) else NOISE
    categories = (*names, noise) if groups.noisy else (*names,)
    label = Field("group", "category", categories=categories)
    mixture = isinstance(groups.model, Estimator) and hasattr(groups.model.estimator, "predict_proba")
    outputs: Outputs = classification_outputs(label, probabilities=mixture)
    return ClusterPredictor(Signature(fields, outputs), prepared, groups.model)


def judge(
    predictor: ClusterPredictor, groups: Groups, matrix: Array, tables: Tables, seed: int, wanted: list[str] | None
) -> tuple[dict[str, float], list[str]]:
    """On the test rows where there are any, else on the rows that it was made from."""
    import numpy as np

    notes = []
    if len(tables.test):
        rows = predictor.matrix(tables.test)
        codes = predictor.model.codes(rows)  # type: ignore[union-attr]
        notes.append("The groups were measured on the test rows.")
    else:
        rows, codes = matrix, groups.codes
        notes.append("The groups were measured on the rows that they were made from.")
    metrics = group_metrics(rows, codes, seed, wanted)
    metrics |= {name: value for name, value in groups.figures.items() if wanted is None or name in wanted}
    if isinstance(groups.model, DensityGroups):
        agreed = float(np.mean(groups.model.codes(matrix) == groups.codes))
        notes.append(
            f"A new row is given to the group of its nearest training row, or to none when that is far away; on the "
            f"training rows themselves this says what HDBSCAN said in {agreed:.1%} of the cases."
        )
    if not metrics.get("silhouette") and groups.count < 2:
        notes.append("There are fewer than two groups, so there is nothing to compare.")
    return metrics, notes


def pictured(groups: Groups, matrix: Array, names: list[Any]) -> Figure:
    """The rows on their two widest axes."""
    from sklearn.decomposition import PCA

    width = min(2, *matrix.shape)
    shown = PCA(width, random_state=0).fit(matrix)
    axes = [f"principal component {at + 1} ({share:.0%})" for at, share in enumerate(shown.explained_variance_ratio_)]
    return plane("clusters", "Groups", shown.transform(matrix), groups.codes, names, [*axes, ""][:2])


def _searched(spec: Clustering, matrix: Array, tables: Tables, run: Run) -> Found | None:
    """Groups are made of one part of the rows and measured on the rest."""
    asked = spec.search
    if asked is None:
        return None
    goal = read_goal(asked.metric, CLUSTERING_METRICS[:3], "silhouette")
    parts = folds(tables.train, asked.folds, spec.seed, spec.data.split, None)

    def score(params: dict[str, Any], fold: int) -> float:
        learned, judged = parts[fold]
        made = group(spec.model.use, {**spec.model.params, **params}, spec.seed, matrix[learned])
        codes = made.model.codes(matrix[judged])  # type: ignore[union-attr]
        found = group_metrics(matrix[judged], codes, spec.seed, [goal.metric])
        if goal.metric not in found:
            raise ValueError("fewer than two groups")
        return found[goal.metric]

    return search(asked, goal, len(parts), spec.seed, score, run)
