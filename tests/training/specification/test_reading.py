"""A specification is read whole or refused with the place and the nearest known word."""

from __future__ import annotations

from typing import Any

import pytest

from craton.core.errors import InvalidRequest, TooLarge
from craton.training.specification.gates import read_gate
from craton.training.specification.methods import Classification, Ensemble
from craton.training.specification.reading import document_of, methods, parse, read
from craton.training.specification.suggesting import did_you_mean

DATA = {"ref": "datasets/acme/churn@main", "target": "churned"}
SPEC = {"method": "classification", "data": DATA}

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"method": "clasification"}, "method", "did you mean 'classification'?"),
    ({}, "method", "is one of classification, regression"),
    (SPEC | {"modle": {}}, "modle", "did you mean 'model'?"),
    (SPEC | {"data": DATA | {"traget": "x"}}, "data.traget", "did you mean 'target'?"),
    (SPEC | {"data": DATA | {"split": {"tset": 0.2}}}, "data.split.tset", "did you mean 'test'?"),
    (SPEC | {"model": {"use": "lightgmb"}}, "model.use", "did you mean 'lightgbm'?"),
    (SPEC | {"model": {"use": "lasso"}}, "model.use", "there is no learner 'lasso'"),
    (SPEC | {"model": {"params": {}}}, "model", "missing required field `use`"),
    (SPEC | {"seed": "one"}, "seed", "expected `int`, got `str`"),
    (SPEC | {"eval": {"gate": "roc_acu >= 0.8"}}, "eval.gate", "did you mean 'roc_auc'?"),
    (SPEC | {"eval": {"gate": "roc_auc about 0.8"}}, "eval.gate", "is no comparison"),
    (SPEC | {"eval": {"metrics": ["rmse"]}}, "eval.metrics", "there is no metric 'rmse'"),
    (SPEC | {"output": {"model": "churn"}}, "output.model", "namespace/name"),
    (SPEC | {"output": {"model": "v1/churn"}}, "namespace", "reserved"),
    (SPEC | {"data": {"ref": "acme/churn"}}, "data.target", "needs the column that is to be predicted"),
    (SPEC | {"data": DATA | {"split": {"test": 0.6, "validation": 0.4}}}, "data.split", "leaves no rows"),
    (SPEC | {"data": DATA | {"split": {"by": "group"}}}, "data.split.column", "needs the column"),
    ({"method": "clustering", "data": DATA}, "data.target", "has no target"),
    ({"method": "ensemble", "data": DATA, "members": [{"usee": "ridge"}]}, "members[0].usee", "did you mean 'use'?"),
]


@pytest.mark.parametrize(("document", "field", "reason"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_the_nearest_word(
    document: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(document)
    assert refused.value.field == field
    assert reason in refused.value.reason


def test_a_document_comes_back_as_it_was_written() -> None:
    document = parse(
        "method: classification\ndata: {ref: 'sklearn:iris', target: target, split: {test: 0.25, seed: 3}}\n"
        "model: {use: xgboost, params: {max_depth: 3}}\nclass_weight: {a: 2.0}\neval: {gate: 'roc_auc >= 0.8'}\n"
    )
    spec = read(document)
    assert isinstance(spec, Classification)
    assert (spec.model.params, spec.class_weight) == ({"max_depth": 3}, {"a": 2.0})
    assert document_of(spec) == document
    assert read(document_of(spec)) == spec


def test_every_method_has_a_name_and_members_are_structures() -> None:
    assert len(methods()) == 17
    spec = read({"method": "ensemble", "data": DATA, "members": [{"use": "ridge"}, {"hub": "acme/churn@main"}]})
    assert isinstance(spec, Ensemble)
    assert [member.hub for member in spec.members] == ["", "acme/churn@main"]


@pytest.mark.parametrize("text", ["a: [", "{", "a: !!python/object:os.system x", "- a"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read(parse(text))
    with pytest.raises(TooLarge):
        parse(" " * (1 << 21))


def test_a_gate_holds_for_finite_figures_alone() -> None:
    gate = read_gate(" roc_auc>=.8 ")
    assert gate is not None
    assert (str(gate), read_gate("")) == ("roc_auc >= 0.8", None)
    assert [gate.holds({"roc_auc": value}) for value in (0.8, 0.79, float("nan"))] == [True, False, False]
    assert not gate.holds({})


def test_the_nearest_word_or_all_of_a_few() -> None:
    assert did_you_mean("Random_Forest", ["random-forest", "ridge"]) == "did you mean 'random-forest'?"
    assert did_you_mean("zzz", ["one", "two"]) == "known are one, two"
    assert did_you_mean("zzz", [str(number) for number in range(50)]) == ""
