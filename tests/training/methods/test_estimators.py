"""Methods are estimators by scikit-learn's own checks of them, and members of ensembles are what they are alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("river")
pytest.importorskip("sklearn")
pytest.importorskip("skops")

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.training.methods import trainer_for
from craton.training.methods.ensemble.training import train
from craton.training.methods.estimators import MethodClassifier, MethodRegressor
from craton.training.protocol import Tables, Trained
from craton.training.specification.methods import Deep, Ensemble, Fit, Member, Online, Specification
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables

KINDS = ("setosa", "versicolor", "virginica")
SMALL = {"hidden": [16], "dropout": 0.0}
FEW = Fit(epochs=3, learning_rate=0.05, patience=None)
NET, STREAM = Member("mlp", SMALL, method="deep", train=FEW), Member("naive-bayes", method="online")
TREE = Member("decision-tree")
READER = Member("encoder", {"encoder_rate": 3e-3}, method="transfer", base="tiny", tune="full", train=FEW)
WORDY = Member("rnn", {"size": 8, "length": 8}, method="deep", features=["said"], train=FEW)
DATA = Data("made:here", target="y")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


QUICK = {"train": {"epochs": 4, "learning_rate": 0.1, "batch": 64, "patience": None}}
OURS = [MethodClassifier("deep", "mlp", SMALL, QUICK), MethodRegressor("online", "linear-regression")]


@parametrize_with_checks(OURS)  # type: ignore[untyped-decorator]
def test_a_method_is_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def test_what_works_on_estimators_works_on_methods() -> None:
    rows, answers = load_iris(return_X_y=True)
    for method in (
        MethodClassifier("classification", "lightgbm", {"n_estimators": 5}),
        MethodClassifier("online", "naive-bayes"),
    ):
        assert cross_val_score(method, rows, answers, cv=3).mean() > 0.85


def flowers() -> Tables:
    found = load_iris()
    frame = pd.DataFrame(found.data, columns=[*"abcd"]).assign(y=[KINDS[code] for code in found.target])
    frame = frame.astype({"y": object}).sample(frac=1, random_state=0, ignore_index=True)
    return tables(
        frame.head(100),
        tuple(Field(name, "number") for name in "abcd"),
        Field("y", "category", categories=KINDS),
        test=frame.tail(50),
    )


def weather() -> Tables:
    """A sentence, and a number that says the same."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(["sun", "wind", "fog", "rain"], 1 + number % 4)) for number in range(90)]
    wet = ["rain" in text for text in texts]
    frame = pd.DataFrame(
        {"said": texts, "drops": [one * 1.0 for one in wet], "y": ["yes" if one else "no" for one in wet]}
    )
    fields = (Field("said", "text", embedder="tiny", shape=(2,)), Field("drops", "number"))
    target = Field("y", "category", categories=("no", "yes"))

    def embed(texts: list[str]) -> Any:
        return np.array([[len(text), "rain" in text] for text in texts], np.float32)

    return tables(frame.head(60), fields, target, test=frame.tail(30), embed=embed)


def made(
    folder: Path, rows: Tables, use: str, members: list[Member], run: MemoryRun | None = None, **params: Any
) -> Any:
    """What comes back from the files of the ensemble, after it was held against what was trained."""
    asked = Ensemble(data=DATA, members=members, model=Model(use, params))
    found = train(asked, rows, run or MemoryRun(folder))
    back = saved_and_loaded(found.predictor, folder / "kept", "ensemble")
    assert found.predictor is not None
    verb: Any = "predict_proba" if "predict_proba" in back.signature.outputs else "predict"
    said, again = (one.run(verb, rows.test) for one in (found.predictor, back))
    assert all(np.array_equal(said[name], again[name]) for name in said)
    return back


def alone(spec: Specification, rows: Tables, folder: Path) -> Trained:
    return trainer_for(spec)(spec, rows, MemoryRun(folder))


def test_a_member_is_what_its_method_makes_alone(tmp_path: Path) -> None:
    rows = flowers()
    back = made(tmp_path, rows, "voting", [NET, STREAM, TREE])
    others = [
        alone(Deep(data=DATA, model=Model("mlp", SMALL), train=FEW), rows, tmp_path),
        alone(Online(data=DATA, model=Model("naive-bayes"), drift="adwin"), rows, tmp_path),
    ]
    for member, other in zip(back.members, others, strict=False):
        assert other.predictor is not None
        ours, theirs = (one.run("predict_proba", rows.test)["probabilities"] for one in (member, other.predictor))
        assert np.array_equal(ours, theirs)
    each = [member.run("predict_proba", rows.test)["probabilities"] for member in back.members]
    assert np.allclose(back.run("predict_proba", rows.test)["probabilities"], np.mean(each, axis=0))
    assert not [*(tmp_path / "members").rglob("checkpoint*")]


@pytest.mark.parametrize(
    ("use", "params"),
    [("stacking", {"cv": 2}), ("bagging", {"n_estimators": 2}), ("boosting", {"n_estimators": 3})],
)
def test_members_by_other_methods_are_combined_in_every_way(tmp_path: Path, use: str, params: dict[str, Any]) -> None:
    rows = flowers()
    back = made(tmp_path, rows, use, [NET, STREAM], **params)
    assert np.mean(back.run("predict", rows.test)["prediction"] == rows.test["y"]) > 0.8


def test_numbers_are_estimated_together(tmp_path: Path) -> None:
    rows = flowers()
    numbers = tables(rows.train, rows.fields[:3], Field("d", "number"), test=rows.test)
    stream = Member("linear-regression", method="online")
    back = made(tmp_path, numbers, "voting", [NET, stream, Member("ridge")])
    assert np.abs(back.run("predict", rows.test)["prediction"] - rows.test["d"]).mean() < 0.4


def test_texts_are_read_by_those_that_read(tmp_path: Path, base: Path) -> None:
    rows, run = weather(), MemoryRun(tmp_path, {"model:tiny": base})
    reader = Member(**{name: getattr(READER, name) for name in READER.__struct_fields__} | {"features": ["said"]})
    counter = Member("logistic-regression", features=["drops"])
    back = made(tmp_path, rows, "voting", [reader, WORDY, counter], run)
    assert [(field.name, field.embedder) for field in back.signature.inputs] == [("said", ""), ("drops", "")]
    assert np.mean(back.run("predict", rows.test)["prediction"] == rows.test["y"]) > 0.8
    with pytest.raises(InvalidRequest, match="another member reads 'said' as it is") as refused:
        made(tmp_path, rows, "voting", [reader, TREE], run)
    assert refused.value.field == "members.1.features"


def test_without_a_reader_texts_are_vectors(tmp_path: Path) -> None:
    rows = weather()
    found = train(Ensemble(data=DATA, members=[NET, TREE], model=Model("voting")), rows, MemoryRun(tmp_path))
    assert found.predictor is not None
    assert [field.embedder for field in found.predictor.signature.inputs] == ["tiny", ""]
    assert found.metrics["accuracy"] > 0.8


def test_models_of_the_hub_join_whatever_method_made_them(tmp_path: Path, base: Path) -> None:
    rows = weather()
    read = tables(rows.train, (Field("said", "text"),), rows.target, test=rows.test)
    run = MemoryRun(tmp_path, {"model:tiny": base})
    network = alone(Deep(data=DATA, model=Model("rnn", {"size": 8}), train=FEW), read, tmp_path)
    counted = tables(rows.train, rows.fields[1:], rows.target, test=rows.test)
    stream = alone(Online(data=DATA, model=Model("naive-bayes")), counted, tmp_path)
    for name, one in (("network", network), ("stream", stream)):
        saved_and_loaded(one.predictor, tmp_path / name, "any")
        run.repositories[f"model:acme/{name}"] = tmp_path / name
    hub = [Member(hub="acme/network"), Member(hub="acme/stream")]
    back = made(tmp_path, rows, "stacking", [*hub, READER_SAID], run, cv=2)
    assert [source.get("hub") for source in back.sources] == ["acme/network", "acme/stream", None]
    assert np.mean(back.run("predict", rows.test)["prediction"] == rows.test["y"]) > 0.8


READER_SAID = Member("encoder", {}, method="transfer", base="tiny", features=["said"], train=FEW)


@pytest.mark.parametrize(
    ("member", "field", "said"),
    [
        (Member("hoeffding-tre", method="online"), "members.1", "did you mean 'hoeffding-tree'"),
        (Member("mlp", method="online", train=FEW), "members.1.train", "online has no such key"),
        (Member("mlp", train=FEW), "members.1.train", "members with a method"),
        (Member("contrastive", method="transfer"), "members.1.use", "predicts nothing"),
        (Member("mlp", method="deep", features=["e"]), "members.1.features", "there is no feature 'e'"),
        (Member(hub="x/y", features=["a"]), "members.1.features", "takes none"),
    ],
)
def test_what_a_member_cannot_be_is_said(tmp_path: Path, member: Member, field: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        made(tmp_path, flowers(), "voting", [TREE, member])
    assert refused.value.field == field
