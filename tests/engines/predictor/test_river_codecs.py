"""What River learned comes back equal, and learns on as if it had never left; anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from craton.core.errors import Damaged
from craton.engines.predictor.river_codecs.classes import CLASSES
from craton.engines.predictor.river_codecs.reading import from_json
from craton.engines.predictor.river_codecs.writing import to_json

river = pytest.importorskip("river")

from river import (  # noqa: E402
    datasets,
    drift,
    ensemble,
    linear_model,
    multiclass,
    naive_bayes,
    optim,
    preprocessing,
    tree,
)

Stream = list[tuple[dict[str, Any], Any]]


def small_tree(**others: Any) -> Any:
    return tree.HoeffdingTreeClassifier(grace_period=40, **others)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": linear_model.LogisticRegression,
    "logistic, Adam, l1": lambda: linear_model.LogisticRegression(optim.Adam(), l1=1e-4),
    "passive-aggressive 0": lambda: linear_model.PAClassifier(mode=0),
    "passive-aggressive 1": linear_model.PAClassifier,
    "passive-aggressive 2": lambda: linear_model.PAClassifier(mode=2),
    "naive Bayes": naive_bayes.GaussianNB,
    "one against the rest": lambda: multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
    "tree": small_tree,
    "tree, nominal": lambda: small_tree(nominal_attributes=["color"]),
    "tree, nominal, binary": lambda: small_tree(nominal_attributes=["color"], binary_split=True),
    "tree, majority": lambda: small_tree(leaf_prediction="mc"),
    "tree, Bayes": lambda: small_tree(leaf_prediction="nb"),
    "adaptive tree": lambda: tree.HoeffdingAdaptiveTreeClassifier(grace_period=40, seed=1),
    "adaptive tree, nominal": lambda: tree.HoeffdingAdaptiveTreeClassifier(
        grace_period=40, seed=1, nominal_attributes=["color"]
    ),
    "adaptive tree, nominal, binary": lambda: tree.HoeffdingAdaptiveTreeClassifier(
        grace_period=40, seed=1, nominal_attributes=["color"], binary_split=True
    ),
    "bagging": lambda: ensemble.BaggingClassifier(small_tree(), n_models=3, seed=1),
    "ADWIN bagging": lambda: ensemble.ADWINBaggingClassifier(linear_model.LogisticRegression(), n_models=3, seed=1),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "linear": lambda: linear_model.LinearRegression(l2=0.1),
    "passive-aggressive": linear_model.PARegressor,
    "tree": lambda: tree.HoeffdingTreeRegressor(grace_period=40),
    "tree, nominal": lambda: tree.HoeffdingTreeRegressor(grace_period=40, nominal_attributes=["color"]),
    "tree, nominal, binary": lambda: tree.HoeffdingTreeRegressor(
        grace_period=40, nominal_attributes=["color"], binary_split=True
    ),
    "tree, mean": lambda: tree.HoeffdingTreeRegressor(grace_period=40, leaf_prediction="mean"),
    "tree, model": lambda: tree.HoeffdingTreeRegressor(grace_period=40, leaf_prediction="model"),
    "adaptive tree": lambda: tree.HoeffdingAdaptiveTreeRegressor(grace_period=40, seed=1),
    "adaptive tree, mean": lambda: tree.HoeffdingAdaptiveTreeRegressor(
        grace_period=40, seed=1, leaf_prediction="mean", nominal_attributes=["color"]
    ),
    "adaptive tree, nominal, binary": lambda: tree.HoeffdingAdaptiveTreeRegressor(
        grace_period=40, seed=1, nominal_attributes=["color"], binary_split=True
    ),
    "adaptive tree, model": lambda: tree.HoeffdingAdaptiveTreeRegressor(
        grace_period=40, seed=1, leaf_prediction="model"
    ),
    "bagging": lambda: ensemble.BaggingRegressor(linear_model.LinearRegression(), n_models=3, seed=1),
}
DETECTORS: dict[str, Callable[[], Any]] = {
    "ADWIN": drift.ADWIN,
    "Page-Hinkley": lambda: drift.PageHinkley(threshold=5),
    "Page-Hinkley, up": lambda: drift.PageHinkley(mode="up"),
    "Page-Hinkley, down": lambda: drift.PageHinkley(mode="down"),
    "KSWIN": lambda: drift.KSWIN(seed=1, window_size=60, stat_size=20),
}


@pytest.fixture(scope="module")
def written() -> dict[str, list[Any]]:
    """What was written after 600 rows, by name: a test that all classes are tried looks at it again."""
    return {}


@pytest.fixture(scope="module")
def stream() -> Stream:
    """Phishing pages, with a colour that gives the answer away most of the time."""
    colors = {True: ("red", "red"), False: ("green", "yellow")}
    return [
        ({**row, "color": colors[label if number % 9 else not label][number % 2]}, label)
        for number, (row, label) in enumerate(datasets.Phishing())
    ]


def plain(stream: Stream) -> Stream:
    """Numbers alone."""
    return [({name: value for name, value in row.items() if name != "color"}, label) for row, label in stream]


def hue(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "color": ("red", "green", "yellow").index(row["color"])}


def answer(row: dict[str, Any]) -> float:
    return float(row["age_of_domain"] + 2 * hue(row)["color"] ** 2 + row["request_from_other_domain"] * row["https"])


def through_json(model: Any) -> Any:
    return from_json(json.loads(json.dumps(to_json(model), allow_nan=False)), "model")


def classifier(name: str, stream: Stream) -> tuple[Stream, Any]:
    model = CLASSIFIERS[name]()
    rows = stream if "nominal" in name else plain(stream)
    for row, label in rows[:600]:
        model.learn_one(row, label)
    return rows, model


def regressor(name: str, stream: Stream) -> tuple[Stream, Any]:
    model = REGRESSORS[name]()
    rows = [(hue(row), answer(row)) for row, _ in stream]
    for row, number in rows[:600]:
        model.learn_one(row, number)
    return rows, model


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_come_back_equal_and_learn_on(name: str, stream: Stream, written: dict[str, Any]) -> None:
    rows, model = classifier(name, stream)
    written[f"classifier {name}"] = to_json(model)
    other = through_json(model)
    for row, label in rows[600:900]:
        assert model.predict_proba_one(row) == other.predict_proba_one(row)
        model.learn_one(row, label)
        other.learn_one(row, label)
    assert to_json(model) == to_json(other)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_come_back_equal_and_learn_on(name: str, stream: Stream, written: dict[str, Any]) -> None:
    rows, model = regressor(name, stream)
    written[f"regressor {name}"] = to_json(model)
    other = through_json(model)
    for row, number in rows[600:900]:
        assert model.predict_one(row) == other.predict_one(row)
        model.learn_one(row, -number)
        other.learn_one(row, -number)
    assert to_json(model) == to_json(other)


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_find_the_same_drifts(name: str) -> None:
    whole, first = DETECTORS[name](), DETECTORS[name]()
    values = [0.1 if number < 350 else 0.9 for number in range(600)]
    found = []
    for number, value in enumerate(values):
        whole.update(value)
        if number == 400:
            first = through_json(first)
        first.update(value)
        found.append((whole.drift_detected, first.drift_detected))
    assert all(one == other for one, other in found)
    assert name == "Page-Hinkley, down" or any(one for one, _ in found)


def test_a_scaler_comes_back(stream: Stream) -> None:
    stream = plain(stream)
    scaler = preprocessing.StandardScaler()
    for row, _ in stream[:100]:
        scaler.learn_one(row)
    assert through_json(scaler).transform_one(stream[200][0]) == scaler.transform_one(stream[200][0])


def test_nothing_unknown_is_written() -> None:
    with pytest.raises(TypeError, match="no codec"):
        to_json(linear_model.Perceptron())
    with pytest.raises(TypeError):
        to_json(linear_model.LogisticRegression(optimizer=optim.SGD(optim.schedulers.InverseScaling(0.1))))


HOSTILE: dict[str, Any] = {
    "no nodes": [],
    "another class": [["object", "subprocess:Popen", {}]],
    "a class of River that is not listed": [["object", "river.compose.pipeline:Pipeline", {}]],
    "a method hidden": [["object", "river.stats.mean:Mean", {"update": 1}]],
    "a property hidden": [["object", "river.drift.adwin:ADWIN", {"width": 1}]],
    "a double underscore": [["object", "river.stats.mean:Mean", {"__class__": 1}]],
    "another factory": [["defaultdict", "eval", []]],
    "another method": [
        ["list", [[1]]],
        ["method", [2], "learn_one"],
        ["object", "river.linear_model.pa:PARegressor", {}],
    ],
    "a node that is not there": [["list", [[7]]]],
    "a tuple in itself": [["tuple", [[0]]]],
    "a window of noise": [["window", [0.002, 32, 5, 5, 10], "AAAA"]],
    "a key that has no hash": [["dict", [[[1], 1]]], ["list", []]],
    "a mapping as a value": [["list", [{"a": 1}]]],
    "no list at all": {"nodes": 1},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str) -> None:
    with pytest.raises(Damaged):
        from_json(HOSTILE[name], "learner.json")


def test_every_listed_class_is_tried(stream: Stream, written: dict[str, list[Any]]) -> None:
    """A class enters the list with a round trip, and only then."""
    for kinds, kind, make in ((CLASSIFIERS, "classifier", classifier), (REGRESSORS, "regressor", regressor)):
        for name in kinds:
            if f"{kind} {name}" not in written:
                written[f"{kind} {name}"] = to_json(make(name, stream)[1])
    others = [to_json(make()) for make in (*DETECTORS.values(), preprocessing.StandardScaler)]
    seen = {node[1] for nodes in (*written.values(), *others) for node in nodes if node[0] == "object"}
    assert CLASSES - seen == set()
