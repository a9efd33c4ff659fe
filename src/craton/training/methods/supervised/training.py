"""Classification and regression of tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field, Signature
from craton.engines.predictor.pipelines import (
    LightGBMModel,
    LightGBMPredictor,
    Settings,
    SklearnModel,
    SklearnPredictor,
    TabularPredictor,
    XGBoostModel,
    XGBoostPredictor,
)
from craton.engines.predictor.preprocessing import codes, encode
from craton.engines.predictor.protocol import Predictor
from craton.engines.predictor.signatures import classification_outputs, regression_outputs
from craton.training.data.embedding import embedded
from craton.training.methods.hearing import heard
from craton.training.methods.supervised.boosting import watched
from craton.training.methods.supervised.calibrating import calibration
from craton.training.methods.supervised.learners import BOOSTERS, Task, estimator, fit, known, last, takes_weights
from craton.training.methods.supervised.searching import searched
from craton.training.metrics import classification_metrics, regression_metrics
from craton.training.protocol import Run, Tables, Trained
from craton.training.search.telling import with_search
from craton.training.specification.methods import Classification, ClassWeight, Regression

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

EXPECTED = 0.9  # of the true values lie between a regression's bounds
FEWEST = 20  # rows that bounds can be told from


def train(spec: Classification | Regression, tables: Tables | None, run: Run) -> Trained:
    """Raises InvalidRequest for what the learner cannot do with this data or these parameters."""
    assert tables is not None
    assert tables.target is not None
    tables = embedded(tables, run)
    classifying = isinstance(spec, Classification)
    run.check()
    fitting = Fitting(spec.model.use, "classification" if classifying else "regression", spec.seed, tables, run)
    with heard(run):
        found = searched(fitting, spec, run)
        params = spec.model.params if found is None else {**spec.model.params, **found.params}
        trained = (
            fitting.classifier(params, spec) if isinstance(spec, Classification) else fitting.regressor(params, spec)
        )
    return trained if found is None else with_search(trained, found, run)


class Fitting:
    """One learner and the rows as it takes them. task: also of ensembles and searches that use the same learners."""

    def __init__(self, use: str, task: Task, seed: int, tables: Tables, run: Run) -> None:
        import numpy as np

        assert tables.target is not None
        self.use, self.task, self.seed, self.tables, self._run = use, task, seed, tables, run
        self.style = known(use, task).style
        self.target: Field = tables.target
        self.matrix = encode(tables.train, tables.fields, self.style)
        self.answers = answers_of(tables.train, self.target)
        self.missing = bool(np.isnan(self.matrix).any())

    def fresh(self, params: Mapping[str, Any]) -> Any:
        return estimator(self.use, self.task, dict(params), self.seed, missing=self.missing)

    def fit(self, params: Mapping[str, Any], weights: Array | None = None) -> Any:
        made = self.fresh(params)
        if self.use not in BOOSTERS:
            return fit(made, self.matrix, self.answers, weights)
        validation = None
        if len(self.tables.validation):
            rows = self.tables.validation
            validation = (encode(rows, self.tables.fields, self.style), answers_of(rows, self.target))
        return fit(made, self.matrix, self.answers, weights, **watched(self.use, made, self._run, validation))

    def fit_on(self, places: Array, params: Mapping[str, Any], weights: Array | None = None) -> Any:
        """Without curves: one of many fits, on some of the training rows, weights being theirs."""
        return fit(self.fresh(params), self.matrix[places], self.answers[places], weights)

    def weights_on(self, places: Array, asked: ClassWeight | None) -> Array | None:
        return class_weights(self.answers[places], self.target, asked)

    def classifier(self, params: Mapping[str, Any], spec: Classification) -> Trained:
        weights = class_weights(self.answers, self.target, spec.class_weight)
        if weights is not None and not takes_weights(self.fresh(params)):
            raise InvalidRequest(f"{self.use} does not take weights", "class_weight")
        made = self.fit(params, weights)
        fitted = None
        if spec.calibrate is not None:
            self._run.log(f"fitting the probabilities ({spec.calibrate}) by cross-validation")
            fitted = calibration(lambda: self.fresh(params), self.matrix, self.answers, weights, spec.calibrate)
        probabilities = fitted is not None or hasattr(made, "predict_proba")
        outputs = classification_outputs(self.target, probabilities=probabilities)
        made_of = Signature(self.tables.fields, outputs, self.target)
        predictor = as_predictor(made, made_of, Settings(self.style, fitted))
        metrics, notes = judge_classifier(predictor, self.tables.test, spec.eval.metrics)
        return Trained(predictor, metrics, notes=notes)

    def regressor(self, params: Mapping[str, Any], spec: Regression) -> Trained:
        made = self.fit(params)
        plain = Signature(self.tables.fields, regression_outputs(), self.target)
        predictor = as_predictor(made, plain, Settings(self.style))
        metrics = judge_regressor(predictor, self.tables.test, spec.eval.metrics)
        unseen = "validation" if len(self.tables.validation) else "test"
        half = half_width(predictor, getattr(self.tables, unseen))
        if half is None:
            return Trained(predictor, metrics, notes=[f"No bounds: fewer than {FEWEST} rows were held out."])
        bounded = Signature(self.tables.fields, regression_outputs(interval=True), self.target)
        predictor = as_predictor(made, bounded, Settings(self.style, interval=half))
        share = f"{EXPECTED:.0%} of the true values are expected between the bounds"
        return Trained(predictor, metrics, notes=[f"{share}; their width was found on the {unseen} rows."])


def as_predictor(made: Any, signature: Signature, settings: Settings) -> TabularPredictor:
    """The fitted estimator as what is saved and served."""
    model = last(made)
    module = type(model).__module__
    if module.startswith("lightgbm."):
        return LightGBMPredictor(signature, LightGBMModel(model.booster_), settings)
    if module.startswith("xgboost."):
        missing = None if math.isnan(model.missing) else float(model.missing)
        best = getattr(model, "best_iteration", None) if model.early_stopping_rounds else None
        settings = msgspec.structs.replace(settings, missing=missing, best=None if best is None else best + 1)
        return XGBoostPredictor(signature, XGBoostModel(model.get_booster(), missing, settings.best), settings)
    return SklearnPredictor(signature, SklearnModel(made), settings)


def answers_of(rows: pd.DataFrame, target: Field) -> Array:
    """What is to be predicted: codes of classes, or numbers."""
    import numpy as np

    if target.categories:
        return codes(rows[target.name], target.categories)
    found: Array = rows[target.name].to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def class_weights(answers: Array, target: Field, asked: ClassWeight | None) -> Array | None:
    """A weight for each row. Raises InvalidRequest for a class that there is not."""
    if asked is None:
        return None
    from sklearn.utils.class_weight import compute_sample_weight

    places = {str(category): place for place, category in enumerate(target.categories)}
    for name in () if asked == "balanced" else asked:
        if name not in places:
            raise InvalidRequest(f"there is no class {name!r}; known are {', '.join(places)}", "class_weight")
    named = asked if asked == "balanced" else {places[name]: weight for name, weight in asked.items()}
    weights: Array = compute_sample_weight(named, answers)
    return weights


def judge_classifier(
    predictor: Predictor, rows: pd.DataFrame, wanted: list[str] | None
) -> tuple[dict[str, float], list[str]]:
    """Figures on rows with their answers, and what the reader of them must know."""
    target = predictor.signature.target
    assert target is not None
    if not len(rows):
        return {}, ["No rows were held out: nothing is known of how good it is."]
    truth = answers_of(rows, target)
    found = predictor.run("predict_proba" if "predict_proba" in predictor.signature.outputs else "predict", rows)
    predicted = codes(found["prediction"], target.categories)
    metrics = classification_metrics(truth, predicted, found.get("probabilities"), len(target.categories), wanted)
    unseen = int((truth < 0).sum())
    notes = [f"{unseen:,} test rows have a class that no training row has."] if unseen else []
    return metrics, notes


def judge_regressor(predictor: Predictor, rows: pd.DataFrame, wanted: list[str] | None) -> dict[str, float]:
    target = predictor.signature.target
    assert target is not None
    if not len(rows):
        return {}
    return regression_metrics(answers_of(rows, target), predictor.run("predict", rows)["prediction"], wanted)


def half_width(predictor: TabularPredictor, rows: pd.DataFrame) -> float | None:
    """Half the width of an interval that holds a new true value in EXPECTED of all cases: split conformal prediction
    (Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005). None with too few rows."""
    import numpy as np

    target = predictor.signature.target
    assert target is not None
    if len(rows) < FEWEST:
        return None
    errors = np.sort(np.abs(answers_of(rows, target) - predictor.run("predict", rows)["prediction"]))
    return float(errors[min(len(errors), math.ceil((len(errors) + 1) * EXPECTED)) - 1])
