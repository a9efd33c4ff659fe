"""Few labels: what the other rows add is measured, and said with its sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_moons

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.methods.semi_supervised.labels import labels
from craton.training.methods.semi_supervised.training import train
from craton.training.protocol import Tables, Trained
from craton.training.specification.methods import SemiSupervised
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables

DATA = Data("sklearn:digits", target="target")
MOONS = (Field("x", "number"), Field("y", "number"))
TARGET = Field("target", "category", categories=("left", "right"))


def moons() -> Tables:
    points, codes = make_moons(400, noise=0.07, random_state=0)
    frame = pd.DataFrame(points, columns=["x", "y"]).assign(
        target=pd.Series([TARGET.categories[code] for code in codes], dtype=object)
    )
    return tables(frame.head(200), MOONS, TARGET, test=frame.tail(100))


def digits() -> Tables:
    loaded: Any = load_digits()
    names = [f"pixel {number}" for number in range(64)]
    frame = pd.DataFrame(loaded.data, columns=names).assign(target=loaded.target)
    frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    fields = tuple(Field(name, "number") for name in names)
    return tables(
        frame.head(1437), fields, Field("target", "category", categories=tuple(range(10))), test=frame.tail(360)
    )


def trained(
    tmp_path: Path, rows: Tables, use: str = "label-spreading", labeled: float | None = 0.05, **params: Any
) -> Trained:
    spec = SemiSupervised(data=DATA, model=Model(use, params), labeled=labeled)
    return train(spec, rows, MemoryRun(tmp_path))


def test_digits_with_five_percent_of_the_labels_beat_the_labelled_rows_alone(tmp_path: Path) -> None:
    found = trained(tmp_path, digits())
    assert found.metrics["accuracy"] > 0.9
    assert found.metrics["gain"] > 0.03
    assert found.metrics["gain"] == pytest.approx(found.metrics["accuracy"] - found.metrics["labeled_only_accuracy"])
    assert any("it wins" in note for note in found.notes)
    assert [figure.name for figure in found.figures] == ["comparison"]
    back = saved_and_loaded(found.predictor, tmp_path / "kept", "semi-supervised")
    assert found.predictor is not None
    rows = digits().test
    assert np.array_equal(
        back.run("predict_proba", rows)["probabilities"], found.predictor.run("predict_proba", rows)["probabilities"]
    )


@pytest.mark.parametrize(
    ("use", "params"),
    [
        ("label-propagation", {"n_neighbors": 5}),
        ("label-spreading", {"kernel": "rbf", "gamma": 20.0}),
        ("self-training", {"threshold": 0.9}),
        ("self-training", {"estimator": {"use": "lightgbm", "params": {"n_estimators": 5, "min_child_samples": 1}}}),
    ],
)
def test_each_comes_back_equal_and_tells_its_gain(tmp_path: Path, use: str, params: dict[str, Any]) -> None:
    rows = moons()
    found = trained(tmp_path, rows, use, 0.06, **params)
    back = saved_and_loaded(found.predictor, tmp_path / "kept", "semi-supervised")
    assert found.predictor is not None
    for verb in found.predictor.signature.outputs:
        said, again = (one.run(verb, rows.test) for one in (found.predictor, back))
        assert all(np.array_equal(said[name], again[name]) for name in said)
    assert found.metrics["gain"] == pytest.approx(found.metrics["accuracy"] - found.metrics["labeled_only_accuracy"])


def test_a_loss_is_called_a_loss(tmp_path: Path) -> None:
    """The labels are drawn by lot, so nothing can be learned, and spreading them wins nothing."""
    rows = moons()
    lot = np.random.default_rng(1)
    frame = rows.train.assign(target=pd.Series(lot.choice(["left", "right"], 200), dtype=object))
    found = trained(tmp_path, tables(frame, MOONS, TARGET, test=rows.test), labeled=0.1)
    note = next(note for note in found.notes if "standard error" in note)
    assert ("it wins" in note) == (found.metrics["gain"] > 0)


def test_rows_without_an_answer_are_those_that_have_no_label(tmp_path: Path) -> None:
    rows = moons()
    frame = rows.train.copy()
    frame.loc[frame.index[20:], "target"] = None
    found = trained(tmp_path, tables(frame, MOONS, TARGET, test=rows.test), labeled=None)
    assert found.notes[0].startswith("20 of 200")
    assert "hidden_labels_accuracy" not in found.metrics
    assert found.metrics["accuracy"] > 0.8


def test_rows_that_no_label_reaches_have_even_chances(tmp_path: Path) -> None:
    near = pd.DataFrame({"x": [0.0, 0.1, 0.2, 1.0, 1.1, 1.2], "y": 0.0, "target": ["left", None, None] * 2})
    near.loc[3, "target"] = "right"
    far = pd.DataFrame({"x": [50.0, 50.1, 50.2], "y": 50.0, "target": [None] * 3})
    frame = pd.concat([near, far], ignore_index=True).astype({"target": object})
    run = MemoryRun(tmp_path)
    spec = SemiSupervised(data=DATA, model=Model("label-propagation", {"n_neighbors": 3}))
    found = train(spec, tables(frame, MOONS, TARGET), run)
    assert found.predictor is not None
    chances = found.predictor.run("predict_proba", frame)["probabilities"]
    assert chances[-1].tolist() == [0.5, 0.5]
    assert chances[0].tolist() == [1.0, 0.0]
    assert "No label reaches 3 of 9" in run.warnings[0]


def test_every_class_keeps_a_label() -> None:
    rows = digits()
    kept, hidden = labels(rows, 0.001, 0)
    assert sorted(kept[kept >= 0]) == [*range(10)]
    assert (hidden >= 0).sum() == 1427


@pytest.mark.parametrize(
    ("use", "labeled", "params", "said"),
    [
        ("label-spreading", None, {}, "every training row has a label"),
        ("label-spreading", 1.5, {}, "less than 1"),
        ("label-spreading", 0.1, {"kernel": "poly"}, "'knn' or 'rbf'"),
        ("label-spreading", 0.1, {"n_neighbours": 3}, "did you mean 'n_neighbors'"),
        ("self-training", 0.1, {"estimator": "svm"}, "gives no probabilities"),
        ("self-training", 0.1, {"treshold": 0.5}, "did you mean 'threshold'"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, use: str, labeled: float | None, params: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        trained(tmp_path, moons(), use, labeled, **params)
