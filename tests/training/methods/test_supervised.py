"""Supervised learning does what the raw library does, number by number, and comes back from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("lightgbm")
pytest.importorskip("xgboost")

import lightgbm
import numpy as np
import xgboost
from sklearn import datasets, ensemble, linear_model, metrics, pipeline, preprocessing, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import train_test_split

from craton.core.errors import InvalidRequest
from craton.training.data.bundled import read_bundled
from craton.training.data.loading import tables
from craton.training.data.refs import BundledRef
from craton.training.methods import trainer_for
from craton.training.methods.supervised.learners import KNOWN
from craton.training.protocol import Trained
from craton.training.specification.names import LEARNERS
from craton.training.specification.reading import read
from tests.training.memory import MemoryRun, saved_and_loaded

SMALL = {"n_estimators": 10}


class Case:
    """One bundled set, trained by us; and its rows split as scikit-learn does."""

    def __init__(self, folder: Path, method: str, name: str, use: str, params: dict[str, Any], **more: Any) -> None:
        data = {"ref": f"sklearn:{name}", "target": "target"}
        spec = read({"method": method, "data": data, "model": {"use": use, "params": params}, "seed": 1, **more})
        self.run = MemoryRun(folder)
        self.tables = tables(spec, read_bundled(BundledRef("sklearn", name), "", None), None, self.run.warn)
        self.trained: Trained = trainer_for(spec)(spec, self.tables, self.run)
        assert self.trained.predictor is not None
        self.predictor = self.trained.predictor
        loaded: Any = getattr(datasets, f"load_{name}")()
        answers = loaded.target
        places = np.arange(len(answers))
        self.names = getattr(loaded, "target_names", None)
        stratify = np.array(self.order)[answers] if method == "classification" else None
        train, test = train_test_split(places, test_size=0.2, random_state=1, stratify=stratify)
        train, test = np.sort(train), np.sort(test)
        self.x, self.y, self.x_test, self.y_test = loaded.data[train], answers[train], loaded.data[test], answers[test]
        self.folder = folder

    @property
    def order(self) -> Any:
        """Labels are sorted by their letters here, in the set's own order there."""
        return np.array([sorted(self.names).index(label) for label in self.names])

    def ask(self, verb: Any) -> dict[str, Any]:
        """What was trained says, and what was saved and loaded again: the same."""
        found = self.predictor.run(verb, self.tables.test)
        again = saved_and_loaded(self.predictor, self.folder / verb, "classification").run(verb, self.tables.test)
        for name, values in found.items():
            np.testing.assert_array_equal(values, again[name])
        return found


def scaled(model: Any) -> Any:
    return pipeline.make_pipeline(preprocessing.StandardScaler(), model)


CLASSIFIERS: list[tuple[str, str, dict[str, Any], Any]] = [
    ("breast_cancer", "lightgbm", SMALL, lightgbm.LGBMClassifier(n_estimators=10, random_state=1, verbose=-1)),
    ("wine", "lightgbm", SMALL, lightgbm.LGBMClassifier(n_estimators=10, random_state=1, verbose=-1)),
    ("breast_cancer", "xgboost", SMALL, xgboost.XGBClassifier(n_estimators=10, random_state=1)),
    ("iris", "xgboost", SMALL, xgboost.XGBClassifier(n_estimators=10, random_state=1)),
    ("iris", "logistic-regression", {"C": 2.0}, scaled(linear_model.LogisticRegression(C=2.0, random_state=1))),
    ("wine", "random-forest", SMALL, ensemble.RandomForestClassifier(n_estimators=10, random_state=1)),
]


@pytest.mark.parametrize(("name", "use", "params", "raw"), CLASSIFIERS, ids=[f"{c[1]}-{c[0]}" for c in CLASSIFIERS])
def test_classifiers_predict_what_the_raw_library_predicts(
    tmp_path: Path, name: str, use: str, params: dict[str, Any], raw: Any
) -> None:
    case = Case(tmp_path, "classification", name, use, params)
    raw.fit(case.x, case.order[case.y])
    found = case.ask("predict_proba")
    np.testing.assert_array_equal(found["probabilities"], raw.predict_proba(case.x_test))
    labels = np.array(sorted(case.names), dtype=object)
    assert (
        found["prediction"].tolist()
        == labels[raw.predict(case.x_test)].tolist()
        == case.ask("predict")["prediction"].tolist()
    )
    truth, predicted = case.order[case.y_test], raw.predict(case.x_test)
    assert case.trained.metrics["accuracy"] == metrics.accuracy_score(truth, predicted)
    assert case.trained.metrics["log_loss"] == pytest.approx(metrics.log_loss(truth, raw.predict_proba(case.x_test)))


REGRESSORS: list[tuple[str, dict[str, Any], Any]] = [
    ("lightgbm", SMALL, lightgbm.LGBMRegressor(n_estimators=10, random_state=1, verbose=-1)),
    ("xgboost", SMALL, xgboost.XGBRegressor(n_estimators=10, random_state=1)),
    ("ridge", {"alpha": 0.5}, scaled(linear_model.Ridge(alpha=0.5, random_state=1))),
    ("svm", {}, scaled(svm.SVR())),
]


@pytest.mark.parametrize(("use", "params", "raw"), REGRESSORS, ids=[case[0] for case in REGRESSORS])
def test_regressors_predict_what_the_raw_library_predicts(
    tmp_path: Path, use: str, params: dict[str, Any], raw: Any
) -> None:
    case = Case(tmp_path, "regression", "diabetes", use, params)
    raw.fit(case.x, case.y)
    found = case.ask("predict")
    np.testing.assert_array_equal(found["prediction"], raw.predict(case.x_test))
    assert case.trained.metrics["r2"] == metrics.r2_score(case.y_test, raw.predict(case.x_test))
    inside = (found["lower"] <= case.y_test) & (case.y_test <= found["upper"])
    assert 0.9 <= inside.mean() < 0.95  # they were fitted on these rows


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(("name", "use"), [("breast_cancer", "linear-svm"), ("wine", "naive-bayes")])
def test_calibration_is_scikit_learns(tmp_path: Path, method: Any, name: str, use: str) -> None:
    case = Case(tmp_path, "classification", name, use, {}, calibrate=method)
    module, _, kind = KNOWN[use].classifier.partition(":")
    made = getattr(__import__(module, fromlist=[kind]), kind)()
    made = scaled(made.set_params(random_state=1)) if use == "linear-svm" else made
    raw = CalibratedClassifierCV(made, method=method, ensemble=False).fit(case.x, case.order[case.y])
    np.testing.assert_allclose(case.ask("predict_proba")["probabilities"], raw.predict_proba(case.x_test), atol=1e-9)


def test_balanced_weights_are_the_librarys_own(tmp_path: Path) -> None:
    case = Case(tmp_path, "classification", "wine", "logistic-regression", {}, class_weight="balanced")
    raw = scaled(linear_model.LogisticRegression(class_weight="balanced", random_state=1)).fit(case.x, case.y)
    np.testing.assert_allclose(case.ask("predict_proba")["probabilities"], raw.predict_proba(case.x_test), atol=1e-6)
    with pytest.raises(InvalidRequest, match="there is no class 'x'"):
        Case(tmp_path, "classification", "wine", "logistic-regression", {}, class_weight={"x": 2.0})
    with pytest.raises(InvalidRequest, match="does not take weights"):
        Case(tmp_path, "classification", "wine", "k-nearest-neighbors", {}, class_weight="balanced")


QUICK = {"mlp": {"max_iter": 20}, **dict.fromkeys(["lightgbm", "xgboost", "random-forest", "extra-trees"], SMALL)}
QUICK |= dict.fromkeys(["gradient-boosting"], SMALL) | {"hist-gradient-boosting": {"max_iter": 5}}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("method", "use"),
    [(method, use) for method in ("classification", "regression") for use in sorted(LEARNERS[method])],
)
def test_every_learner_comes_back_from_its_files(tmp_path: Path, method: str, use: str) -> None:
    name = "iris" if method == "classification" else "diabetes"
    case = Case(tmp_path, method, name, use, QUICK.get(use, {}))
    for verb in case.predictor.signature.outputs:
        case.ask(verb)
    assert "accuracy" in case.trained.metrics if method == "classification" else "rmse" in case.trained.metrics


def test_what_a_library_warns_of_is_said(tmp_path: Path) -> None:
    case = Case(tmp_path, "classification", "iris", "xgboost", {"max_deepth": 3, "n_estimators": 2})
    assert [line for line in case.run.warnings if "max_deepth" in line and "does not use" in line]
    case = Case(tmp_path, "classification", "iris", "mlp", {"max_iter": 2})
    assert [line for line in case.run.warnings if "hasn't converged" in line]


def test_wrong_parameters_are_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"did you mean 'num_leaves?'"):
        Case(tmp_path, "classification", "iris", "lightgbm", {"num_leevs": 3})
    with pytest.raises(InvalidRequest, match="did you mean 'n_estimators'"):
        Case(tmp_path, "classification", "iris", "random-forest", {"n_estimator": 3})
    for use, params in (
        ("random-forest", {"n_estimators": -1}),
        ("lightgbm", {"num_leaves": -5}),
        ("xgboost", {"max_depth": "x"}),
    ):
        with pytest.raises(InvalidRequest) as refused:
            Case(tmp_path, "classification", "iris", use, params)
        assert refused.value.field == "model.params"


def test_a_stopped_run_stops_between_two_rounds(tmp_path: Path) -> None:
    case = Case(tmp_path, "classification", "iris", "lightgbm", SMALL)
    rounds: list[int] = []

    class Stopped(Exception):
        pass

    def stop() -> None:
        rounds.append(1)
        if len(rounds) > 3:
            raise Stopped

    spec = read({"method": "classification", "data": {"ref": "sklearn:iris", "target": "target"}})
    for use in ("lightgbm", "xgboost"):
        rounds.clear()
        spec = read(
            {"method": "classification", "data": {"ref": "sklearn:iris", "target": "target"}, "model": {"use": use}}
        )
        with pytest.raises(Stopped):
            trainer_for(spec)(spec, case.tables, MemoryRun(tmp_path, stop=stop))
