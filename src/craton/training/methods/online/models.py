"""The learners that a specification can name, and River's objects for them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.predicting import Field
from craton.engines.predictor.learners import Kind, Take
from craton.training.specification.suggesting import unknown


@dataclass(frozen=True, slots=True)
class Learner:
    """classifier, regressor: River's classes, "" where it has none. take: of the classifier; regressors, whose leaves
    are linear models, take numbers. scaled: wants inputs of one size. binary: knows two classes only, more by one
    against the rest. bags: other learners, named by its parameter `model`."""

    classifier: str = ""
    regressor: str = ""
    take: Take = "numbers"
    scaled: bool = False
    binary: bool = False
    bags: bool = False


LEARNERS = {
    "logistic-regression": Learner("river.linear_model:LogisticRegression", scaled=True, binary=True),
    "linear-regression": Learner(regressor="river.linear_model:LinearRegression", scaled=True),
    "passive-aggressive": Learner(
        "river.linear_model:PAClassifier", "river.linear_model:PARegressor", scaled=True, binary=True
    ),
    "naive-bayes": Learner("river.naive_bayes:GaussianNB"),
    "hoeffding-tree": Learner("river.tree:HoeffdingTreeClassifier", "river.tree:HoeffdingTreeRegressor", "mixed"),
    "adaptive-tree": Learner(
        "river.tree:HoeffdingAdaptiveTreeClassifier", "river.tree:HoeffdingAdaptiveTreeRegressor", "mixed"
    ),
    "bagging": Learner("river.ensemble:BaggingClassifier", "river.ensemble:BaggingRegressor", bags=True),
    "adwin-bagging": Learner("river.ensemble:ADWINBaggingClassifier", bags=True),
}

DETECTORS = {"adwin": "river.drift:ADWIN", "page-hinkley": "river.drift:PageHinkley", "kswin": "river.drift:KSWIN"}
"""Bifet and Gavalda, "Learning from time-changing data with adaptive windowing", 2007; Page, "Continuous inspection
schemes", 1954; Raab, Heusinger and Schleif, "Reactive soft prototype computing for concept drift streams", 2020."""

OPTIMIZERS = {"sgd": "river.optim:SGD", "adam": "river.optim:Adam"}
BAGGED = "hoeffding-tree"


@dataclass(frozen=True, slots=True)
class Built:
    """River's objects, and how rows become what they take."""

    model: Any
    scaler: Any
    take: Take


def build(use: str, params: dict[str, Any], kind: Kind, fields: tuple[Field, ...], seed: int) -> Built:
    """Raises InvalidRequest, Unsupported."""
    learner = _learner(use, "model.use")
    inner = learner
    if learner.bags:
        name, own = _named(params.get("model", BAGGED), "model.params.model")
        inner = _learner(name, "model.params.model")
        if inner.bags:
            raise InvalidRequest("a bag of bags is no better than a bag", "model.params.model")
        model = _model(name, inner, own, kind, fields, seed)
        others = {name: value for name, value in params.items() if name != "model"}
        model = _construct(_class(use, learner, kind), {**others, "model": model}, seed)
    else:
        model = _model(use, learner, params, kind, fields, seed)
    if kind == "multiclass" and inner.binary and not learner.bags:
        from river.multiclass import OneVsRestClassifier

        model = OneVsRestClassifier(model)
    scaler = None
    if inner.scaled:
        from river.preprocessing import StandardScaler

        scaler = StandardScaler()
    return Built(model, scaler, _take(inner, kind))


def detector(name: str | None, seed: int) -> Any:
    return None if name is None else _construct(_imported(DETECTORS[name]), {}, seed)


def _model(use: str, learner: Learner, params: dict[str, Any], kind: Kind, fields: tuple[Field, ...], seed: int) -> Any:
    params = dict(params)
    if "optimizer" in params:
        name, own = _named(params["optimizer"], "model.params.optimizer")
        if name not in OPTIMIZERS:
            raise InvalidRequest(unknown("optimizer", name, OPTIMIZERS), "model.params.optimizer")
        params["optimizer"] = _construct(_imported(OPTIMIZERS[name]), own, seed)
    if _take(learner, kind) == "mixed":
        params.setdefault("nominal_attributes", [one.name for one in fields if one.kind == "category"] or None)
    return _construct(_class(use, learner, kind), params, seed)


def _take(learner: Learner, kind: Kind) -> Take:
    return "numbers" if kind == "regression" else learner.take


def _class(use: str, learner: Learner, kind: Kind) -> Any:
    target = learner.regressor if kind == "regression" else learner.classifier
    if not target:
        task = "regression" if kind == "regression" else "classification"
        other = [name for name, one in LEARNERS.items() if (one.regressor if kind == "regression" else one.classifier)]
        raise Unsupported(f"{task.capitalize()} by {use!r}", f"Learners that do it are {', '.join(other)}.")
    return _imported(target)


def _learner(use: str, place: str) -> Learner:
    if use not in LEARNERS:
        raise InvalidRequest(unknown("learner", use, LEARNERS), place)
    return LEARNERS[use]


def _named(value: Any, place: str) -> tuple[str, dict[str, Any]]:
    """ "adam", or {"use": "adam", "params": {"lr": 0.01}}."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and isinstance(value.get("use"), str) and value.keys() <= {"use", "params"}:
        params = value.get("params", {})
        if isinstance(params, dict):
            return value["use"], params
    raise InvalidRequest("a name, or a mapping of `use` and `params`", place)


def _construct(kind: Any, params: dict[str, Any], seed: int) -> Any:
    known = inspect.signature(kind).parameters
    for name in params:
        if name not in known:
            raise InvalidRequest(unknown("parameter", name, known), f"model.params.{name}")
    if "seed" in known:
        params = {"seed": seed, **params}
    try:
        return kind(**params)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(str(error)[:300], "model.params") from error


def _imported(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
