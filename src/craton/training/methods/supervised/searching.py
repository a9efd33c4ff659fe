"""The search for a labelled table's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.training.metrics import classification_metrics, regression_metrics
from craton.training.protocol import Run
from craton.training.search.folds import folds
from craton.training.search.goals import read_goal
from craton.training.search.searching import Found, search
from craton.training.specification.methods import Classification, Regression
from craton.training.specification.names import CLASSIFICATION_METRICS, REGRESSION_METRICS

if TYPE_CHECKING:
    import numpy as np

    from craton.training.methods.supervised.training import Fitting

    Array = np.ndarray[Any, Any]


def searched(fitting: Fitting, spec: Classification | Regression, run: Run) -> Found | None:
    """None when no search is asked for. Raises InvalidRequest."""
    asked = spec.search
    if asked is None:
        return None
    classifying = isinstance(spec, Classification)
    known = CLASSIFICATION_METRICS if classifying else REGRESSION_METRICS
    goal = read_goal(asked.metric, known, "accuracy" if classifying else "-rmse")
    rows = fitting.tables.train
    parts = folds(rows, asked.folds, spec.seed, spec.data.split, fitting.answers if classifying else None)
    asked_weight = spec.class_weight if isinstance(spec, Classification) else None

    def score(params: dict[str, Any], fold: int) -> float:
        learned, judged = parts[fold]
        weights = fitting.weights_on(learned, asked_weight)
        made = fitting.fit_on(learned, {**spec.model.params, **params}, weights)
        found = _measured(made, fitting.matrix[judged], fitting.answers[judged], fitting, goal.metric)
        if goal.metric not in found:
            raise ValueError(f"{goal.metric} is not defined for {fitting.use} on these rows")
        return found[goal.metric]

    return search(asked, goal, len(parts), spec.seed, score, run)


def _measured(made: Any, matrix: Array, answers: Array, fitting: Fitting, metric: str) -> dict[str, float]:
    if fitting.task == "regression":
        return regression_metrics(answers, made.predict(matrix), [metric])
    classes = len(fitting.target.categories)
    chances = made.predict_proba(matrix) if hasattr(made, "predict_proba") else None
    if chances is not None and chances.shape[1] != classes:  # a rare class is in no row of this part
        chances = _spread(chances, made.classes_.astype(int), classes)
    return classification_metrics(answers, made.predict(matrix).astype(int), chances, classes, [metric])


def _spread(chances: Array, known: Array, classes: int) -> Array:
    import numpy as np

    found = np.zeros((len(chances), classes))
    found[:, known] = chances
    return found
