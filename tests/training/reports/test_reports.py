"""Pictures say what the numbers say; the numbers here can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

import msgspec
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes

from craton.core.predicting import Field, PredictVerb, Signature
from craton.engines.predictor.signatures import classification_outputs, regression_outputs
from craton.training.methods.supervised.training import train
from craton.training.protocol import Figure, Tables, Trained
from craton.training.reports import report
from craton.training.reports.classes import calibration, confusion, roc
from craton.training.reports.fairness import fairness
from craton.training.reports.importance import permutation_importance
from craton.training.reports.judging import Judged, judged
from craton.training.reports.maps import explained, plane
from craton.training.reports.numbers import estimates
from craton.training.reports.shapley import shap_values, shares
from craton.training.specification.methods import Classification, Regression
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, tables

YES_NO = Field("target", "category", categories=("no", "yes"))
DATA = Data("x", target="target")


def is_picture(figure: Figure | None) -> bool:
    assert figure is not None
    msgspec.json.encode(figure.data)
    return figure.png.startswith(b"\x89PNG") and len(figure.png) > 2000


def test_a_confusion_matrix_counts_by_what_was_true() -> None:
    figure = confusion(np.array([0, 0, 1, 1, 1, -1]), np.array([0, 1, 1, 1, 0, 1]), ["no", "yes"])
    assert figure.data == {"classes": ["no", "yes"], "counts": [[1, 1], [1, 2]]}
    assert is_picture(figure)
    assert is_picture(confusion(np.arange(62) % 31, np.arange(62) % 31, [f"$class {number}" for number in range(31)]))


def test_roc_and_calibration_by_hand() -> None:
    truth, second = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    chances = np.column_stack([1 - second, second])
    figure = roc(truth, chances, ["no", "yes"])
    assert figure is not None
    assert figure.data["curves"][0]["area"] == 0.75  # three of four pairs are in order
    assert roc(np.zeros(4, int), chances, ["no", "yes"]) is None
    told = calibration(truth, chances, ["no", "yes"])
    assert told.data["said"] == pytest.approx([0.1, 0.4, 0.6, 0.9])
    assert told.data["happened"] == [0.0, 1.0, 0.0, 1.0]
    assert told.data["error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert is_picture(figure)
    assert is_picture(told)


def test_estimates_stand_between_their_bounds_by_hand() -> None:
    truth, said = np.array([1.0, 2.0, 9.0, 4.0]), np.array([1.5, 2.0, 5.0, 3.5])
    found = Judged(Field("price", "number"), truth, said, None, (said - 1, said + 1))
    figure = estimates(found)
    assert figure.data["lower"] == [0.5, 1.0, 4.0, 2.5]
    assert figure.data["upper"] == [2.5, 3.0, 6.0, 4.5]
    assert (figure.data["within"], figure.data["mean_error"]) == (0.75, -1.0)
    assert is_picture(figure)
    assert "lower" not in estimates(Judged(found.target, truth, said, None)).data


def two_classes(truth: list[int], predicted: list[int]) -> Judged:
    return Judged(YES_NO, np.array(truth), np.array(predicted), None)


def test_fairness_by_hand() -> None:
    """Group a: 6 of 10 selected, all 5 who deserve it and 1 of 5 others. Group b: 2 of 10, 2 of 5 and none."""
    truth = [1] * 5 + [0] * 5
    found = fairness(
        two_classes(truth * 2, [1] * 5 + [1, 0, 0, 0, 0] + [1, 1, 0, 0, 0] + [0] * 5),
        pd.Series(["a"] * 10 + ["b"] * 10, name="group"),
    )
    assert found is not None
    assert found.metrics["demographic_parity_difference"] == pytest.approx(0.4)
    assert found.metrics["equalized_odds_difference"] == pytest.approx(0.6)  # of the two rates, the worse one
    assert [group["rows"] for group in found.figure.data["groups"]] == [10, 10]
    assert is_picture(found.figure)


def test_groups_that_are_too_small_are_not_compared() -> None:
    column = pd.Series(["a"] * 10 + ["b"] * 10 + ["c"] * 2, name="group")
    found = fairness(two_classes([0, 1] * 11, [0, 1] * 11), column)
    assert found is not None
    assert found.metrics["equalized_odds_difference"] == 0
    assert "c" in found.notes[0]
    assert fairness(two_classes([0, 1] * 6, [0, 1] * 6), column.head(12)) is None


def test_numbers_of_many_values_are_compared_by_ranges() -> None:
    ages, numbers = pd.Series(np.arange(80.0), name="age"), np.arange(80.0)
    found = fairness(Judged(Field("target", "number"), numbers, numbers + 1, None), ages)
    assert found is not None
    assert found.metrics["group_mean_difference"] == pytest.approx(60)
    assert found.metrics["group_error_difference"] == pytest.approx(0)
    assert found.figure.data["groups"][0]["group"] == "-0.001 to 19.75"


class Sum:
    """2 a - b, whatever c is."""

    def __init__(self) -> None:
        fields = (Field("a", "number"), Field("b", "number"), Field("c", "text"))
        self.signature = Signature(fields, regression_outputs(), Field("target", "number"))

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Any]:
        return {"prediction": (2 * rows["a"] - rows["b"]).to_numpy(dtype=float)}

    def save(self, folder: Path) -> dict[str, Any]:
        return {}


def sums(count: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.random(count), "b": draw.random(count)})
    return frame.assign(c=pd.Series(["text"] * count, dtype=object), target=2 * frame["a"] - frame["b"])


def test_shap_values_of_a_sum_are_its_parts() -> None:
    rows, background = sums(30), sums(60).tail(20).reset_index(drop=True)
    found = shares(Sum(), rows, background, 0)
    parts = np.column_stack(
        [2 * (rows["a"] - background["a"].mean()), -(rows["b"] - background["b"].mean()), np.zeros(30)]
    )
    assert np.allclose(found.values[:, :, 0], parts)
    assert found.base[0] == pytest.approx((2 * background["a"] - background["b"]).mean())
    assert is_picture(shap_values(Sum(), rows, background, 0))


def test_a_column_that_says_nothing_has_no_importance(tmp_path: Path) -> None:
    predictor = Sum()
    target = Field("target", "number")
    figure = permutation_importance(predictor, sums(100), predictor.signature.inputs, target, 0, MemoryRun(tmp_path))
    assert figure is not None
    found = {one["column"]: one["mean"] for one in figure.data["columns"]}
    assert found["a"] > found["b"] > found["c"] == 0
    assert is_picture(figure)


def test_maps_are_drawn_whatever_the_groups() -> None:
    points = np.random.default_rng(0).random((50, 3))
    assert is_picture(plane("map", "Map", points, None))
    figure = plane("map", "Map", points, np.arange(50) % 12 - 1, [f"group {number}" for number in range(11)])
    assert is_picture(figure)
    assert len(figure.data["points"]) == len(figure.data["groups"]) == 50
    assert is_picture(plane("map", "Map", points[:, :1], np.zeros(50, int)))
    assert explained([0.5, 0.25]).data["cumulative"] == [0.5, 0.75]


def cancer(**more: Any) -> Tables:
    loaded: Any = load_breast_cancer()
    names = [str(name) for name in loaded.feature_names[:6]]
    frame = pd.DataFrame(loaded.data[:, :6], columns=names)
    frame = frame.assign(target=pd.Series([("no", "yes")[code] for code in loaded.target], dtype=object))
    frame = frame.assign(site=pd.Series(["north", "south"] * 284 + ["north"], dtype=object))
    fields = tuple(Field(name, "number") for name in names)
    return tables(frame.head(450), fields, YES_NO, test=frame.tail(119), **more)


@pytest.mark.parametrize(
    ("use", "params"),
    [
        ("lightgbm", {"n_estimators": 10}),
        ("logistic-regression", {}),
    ],
)
def test_every_kind_of_model_gets_its_report(tmp_path: Path, use: str, params: dict[str, Any]) -> None:
    rows, run = cancer(sensitive="site"), MemoryRun(tmp_path)
    spec = Classification(data=DATA, model=Model(use, params))
    trained = train(spec, rows, run)
    figures = {figure.name: figure for figure in report(spec, rows, trained, run)}
    assert [*figures] == ["confusion", "roc", "calibration", "fairness", "importance", "shap"]
    assert all(map(is_picture, figures.values()))
    assert run.warnings == []
    assert "demographic_parity_difference" in trained.metrics
    area = figures["roc"].data["curves"][0]["area"]
    assert area == pytest.approx(trained.metrics["roc_auc"])


@pytest.mark.parametrize("use", ["lightgbm", "xgboost", "random-forest", "hist-gradient-boosting"])
def test_the_shares_of_trees_add_up_to_what_they_say(tmp_path: Path, use: str) -> None:
    loaded: Any = load_diabetes()
    frame = pd.DataFrame(loaded.data, columns=loaded.feature_names).assign(target=loaded.target)
    fields = tuple(Field(name, "number") for name in loaded.feature_names)
    rows = tables(frame.head(300), fields, Field("target", "number"), test=frame.tail(100))
    params = {"max_iter": 5} if use == "hist-gradient-boosting" else {"n_estimators": 5}
    predictor = train(Regression(data=DATA, model=Model(use, params)), rows, MemoryRun(tmp_path)).predictor
    assert predictor is not None
    found = shares(predictor, rows.test, rows.train, 0)
    said = judged(predictor, rows.test, Field("target", "number")).predicted
    assert found.how != "permutations over 20 rows"
    assert np.allclose(found.values[:, :, 0].sum(axis=1) + found.base[0], said, rtol=1e-4)


def test_a_part_that_cannot_be_made_is_a_warning(tmp_path: Path) -> None:
    class Broken(Sum):
        def __init__(self) -> None:
            super().__init__()
            self.signature = Signature(self.signature.inputs, classification_outputs(YES_NO), YES_NO)

        def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Any]:
            raise ValueError("not today")

    rows, run = cancer(), MemoryRun(tmp_path)
    assert report(Classification(data=DATA), rows, Trained(Broken(), {}), run) == []
    assert "not today" in run.warnings[0]
