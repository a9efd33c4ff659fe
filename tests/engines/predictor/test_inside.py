"""What is shown of a model is what it calculates with."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import numpy as np
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from craton.core.errors import Unsupported
from craton.core.predicting import Field, Signature
from craton.engines.predictor.inside import Tree, look_inside, rules
from craton.engines.predictor.pipelines import (
    LightGBMModel,
    LightGBMPredictor,
    Settings,
    SklearnModel,
    SklearnPredictor,
    XGBoostModel,
    XGBoostPredictor,
)
from craton.engines.predictor.signatures import classification_outputs, regression_outputs

IRIS, DIABETES = load_iris(), load_diabetes()
COLUMNS = ("a", "b", "c", "d")
INPUTS = tuple(Field(name, "number") for name in COLUMNS)
KINDS = ("setosa", "versicolor", "virginica")
KIND = Field("kind", "category", categories=KINDS)


def of_iris(estimator: Any, kind: Any = SklearnPredictor, model: Any = SklearnModel) -> Any:
    return kind(Signature(INPUTS, classification_outputs(KIND), KIND), model(estimator), Settings("one-hot"))


def plain(signature: Signature, estimator: Any) -> SklearnPredictor:
    return SklearnPredictor(signature, SklearnModel(estimator), Settings("codes"))


def followed(tree: Tree, row: Any) -> str:
    """The value of the leaf that the row comes to."""
    while tree.branches:
        column, sign, bound = tree.test.split()
        value = row[COLUMNS.index(column)]
        tree = tree.branches[0 if (value <= float(bound) if sign == "<=" else value < float(bound)) else 1]
    return tree.value


def test_a_linear_models_scores_are_its_coefficients() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data, IRIS.target)
    linear = look_inside(of_iris(model)).linear
    assert linear is not None
    assert (linear.columns, linear.outputs, linear.scaled) == (COLUMNS, KINDS, True)
    scaled = (IRIS.data - IRIS.data.mean(axis=0)) / IRIS.data.std(axis=0)
    scores = scaled @ np.array(linear.coefficients).T + np.array(linear.intercepts)
    np.testing.assert_allclose(scores, model.decision_function(IRIS.data))


def test_a_number_has_one_row_of_coefficients_and_two_classes_have_the_seconds() -> None:
    fields = tuple(Field(name, "number") for name in DIABETES.feature_names)
    ridge = Ridge().fit(DIABETES.data, DIABETES.target)
    linear = look_inside(plain(Signature(fields, regression_outputs()), ridge)).linear
    assert linear is not None
    assert (linear.outputs, linear.scaled) == (("prediction",), False)
    assert linear.coefficients == (tuple(ridge.coef_),)
    two = Field("kind", "category", categories=("no", "yes"))
    model = LogisticRegression().fit(IRIS.data, IRIS.target == 2)
    found = plain(Signature(INPUTS, classification_outputs(two), two), model)
    linear = look_inside(found).linear
    assert linear is not None
    assert linear.outputs == ("yes",)


def test_a_trees_rules_lead_to_what_it_says() -> None:
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(IRIS.data, IRIS.target)
    inside = look_inside(of_iris(model))
    assert inside.first is not None
    assert inside.trees == 1
    assert inside.linear is None
    said = [followed(inside.first, row).split()[0] for row in IRIS.data]
    assert said == [KINDS[number] for number in model.predict(IRIS.data)]
    lines = list(rules(inside.first))
    splits = model.tree_.node_count // 2
    assert sum("|-- if" in line for line in lines) == sum(line.endswith("else") for line in lines) == splits
    assert {item.name: item.shape for item in inside.learned} == {
        "tree.feature": (model.tree_.node_count,),
        "tree.threshold": (model.tree_.node_count,),
        "tree.value": (model.tree_.node_count, 1, 3),
    }


def test_a_forests_arrays_are_of_all_its_trees() -> None:
    forest = RandomForestClassifier(7, random_state=0).fit(IRIS.data, IRIS.target)
    inside = look_inside(of_iris(forest))
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    assert inside.trees == 7
    assert [item.elements for item in inside.learned] == [nodes, nodes, 3 * nodes]
    numbers = RandomForestRegressor(2, max_depth=2, random_state=0).fit(IRIS.data[:, :3], IRIS.data[:, 3])
    found = look_inside(plain(Signature(INPUTS[:3], regression_outputs()), numbers))
    assert found.first is not None
    expected = numbers.estimators_[0].predict(IRIS.data[:, :3])
    np.testing.assert_allclose([float(followed(found.first, row)) for row in IRIS.data], expected, rtol=1e-5)


def test_a_boosters_first_tree_gives_its_part_of_the_score() -> None:
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    last = IRIS.target == 2
    two = Field("kind", "category", categories=("no", "yes"))
    signature = Signature(INPUTS, classification_outputs(two), two)
    light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(IRIS.data, last).booster_
    inside = look_inside(LightGBMPredictor(signature, LightGBMModel(light), Settings("codes")))
    assert inside.first is not None
    assert inside.trees == 3
    scores = light.predict(IRIS.data, raw_score=True, num_iteration=1)
    np.testing.assert_allclose([float(followed(inside.first, row)) for row in IRIS.data], scores, rtol=1e-5)
    assert {item.name: item.elements for item in inside.learned}["leaf_value"] == sum(
        one["num_leaves"] for one in light.dump_model()["tree_info"]
    )
    boosted = xgboost.XGBClassifier(n_estimators=3, base_score=0.5).fit(IRIS.data, last).get_booster()
    inside = look_inside(XGBoostPredictor(signature, XGBoostModel(boosted), Settings("one-hot")))
    assert inside.first is not None
    margins = boosted.predict(xgboost.DMatrix(IRIS.data), output_margin=True, iteration_range=(0, 1))
    np.testing.assert_allclose([float(followed(inside.first, row)) for row in IRIS.data], margins, rtol=1e-4)


def test_networks_are_arrays_and_what_is_hidden_is_refused() -> None:
    network = MLPClassifier((5,), max_iter=5, random_state=0).fit(IRIS.data, IRIS.target)
    shapes = {item.name: item.shape for item in look_inside(of_iris(network)).learned}
    assert (shapes["coefs_[0]"], shapes["coefs_[1]"], shapes["intercepts_[0]"]) == ((4, 5), (5, 3), (5,))
    hidden = HistGradientBoostingClassifier(max_iter=2).fit(IRIS.data, IRIS.target)
    with pytest.raises(Unsupported):
        look_inside(of_iris(hidden))
