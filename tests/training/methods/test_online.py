"""Online learning: the published figures, drift, and learning on after a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import InvalidRequest, Unsupported
from craton.core.predicting import Field
from craton.training.specification.methods import Online
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables

pytest.importorskip("river")
pd = pytest.importorskip("pandas")
np = pytest.importorskip("numpy")

from river import datasets, linear_model, optim, preprocessing  # noqa: E402

from craton.training.methods.online.training import train  # noqa: E402


@pytest.fixture(scope="module")
def phishing() -> tuple[Any, tuple[Field, ...], Field]:
    rows = [{**row, "phishing": label} for row, label in datasets.Phishing()]
    frame = pd.DataFrame(rows)
    fields = tuple(Field(name, "number") for name in frame.columns if name != "phishing")
    return frame, fields, Field("phishing", "category", categories=(False, True))


def spec(use: str, params: dict[str, Any] | None = None, **others: Any) -> Online:
    return Online(data=Data("river:phishing", target="phishing"), model=Model(use, params or {}), **others)


def test_logistic_regression_on_phishing_is_as_published(phishing: Any, tmp_path: Path) -> None:
    """River's published 88.8 % accuracy and 87.2 F1 are those of a learning rate of 0.005; and the raw library gives
    every probability equal."""
    frame, fields, target = phishing
    run = MemoryRun(tmp_path)
    params = {"optimizer": {"use": "sgd", "params": {"lr": 0.005}}}
    trained = train(spec("logistic-regression", params), tables(frame, fields, target), run)
    assert abs(100 * trained.metrics["accuracy"] - 88.8) < 0.5
    assert abs(100 * trained.metrics["f1"] - 87.2) < 0.5
    raw = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.SGD(0.005))
    for row, label in datasets.Phishing():
        raw.learn_one(row, label)
    predictor: Any = trained.predictor
    ours = predictor.run("predict_proba", frame)["probabilities"][:, 1]
    assert list(ours) == [raw.predict_proba_one(row)[True] for row, _ in datasets.Phishing()]
    assert run.curves["progressive_accuracy"][-1] == (len(frame), trained.metrics["accuracy"])


@pytest.mark.parametrize(
    ("use", "params"),
    [
        ("passive-aggressive", {}),
        ("naive-bayes", {}),
        ("hoeffding-tree", {"grace_period": 50}),
        ("adaptive-tree", {"grace_period": 50}),
        ("bagging", {"model": "hoeffding-tree", "n_models": 2}),
        ("adwin-bagging", {"model": {"use": "logistic-regression", "params": {"optimizer": "adam"}}, "n_models": 3}),
    ],
)
def test_learners_answer_the_same_after_a_reload_and_learn_on(
    phishing: Any, tmp_path: Path, use: str, params: dict[str, Any]
) -> None:
    frame, fields, target = phishing
    first, rest = frame.iloc[:400], frame.iloc[400:600].reset_index(drop=True)
    trained = train(spec(use, params), tables(first, fields, target), MemoryRun(tmp_path))
    assert trained.metrics["accuracy"] > 0.7
    predictor: Any = trained.predictor
    loaded = saved_and_loaded(predictor, tmp_path / "artifact", "online")
    for one in (predictor, loaded):
        state = one.learn(rest, rest["phishing"].tolist())
        assert state["seen"] == 600
        assert state["accuracy"] > 0.7
    ours, theirs = (one.run("predict_proba", rest)["probabilities"] for one in (predictor, loaded))
    assert (ours == theirs).all()


@pytest.mark.parametrize("use", ["linear-regression", "passive-aggressive", "hoeffding-tree", "adaptive-tree"])
def test_numbers_are_learned_with_categories_and_missing_values(tmp_path: Path, use: str) -> None:
    frame = pd.DataFrame({"x": [number % 7 / 7 for number in range(600)], "kind": ["a", "b", None] * 200})
    frame["y"] = 3 * frame["x"] + frame["kind"].map({"a": 5.0, "b": -5.0}).fillna(0.0)
    frame.loc[::50, "x"] = None
    fields = (Field("x", "number", nullable=True), Field("kind", "category", nullable=True, categories=("a", "b")))
    trained = train(spec(use), tables(frame, fields, Field("y", "number")), MemoryRun(tmp_path))
    assert trained.metrics["mae"] < 2.0
    loaded = saved_and_loaded(trained.predictor, tmp_path / "artifact", "online")
    predictor: Any = trained.predictor
    assert (loaded.run("predict", frame)["prediction"] == predictor.run("predict", frame)["prediction"]).all()


def test_a_shifted_stream_is_a_drift(tmp_path: Path) -> None:
    """The label turns round in the middle: the detector says when, the adaptive tree recovers."""
    frame = pd.DataFrame({"x": [(number * 37) % 100 / 100 for number in range(2000)]})
    frame["y"] = [(x > 0.5) != (number >= 1000) for number, x in enumerate(frame["x"])]
    run = MemoryRun(tmp_path)
    target = Field("y", "category", categories=(False, True))
    trained = train(spec("adaptive-tree"), tables(frame, (Field("x", "number"),), target), run)
    predictor: Any = trained.predictor
    assert predictor.tally.drifts
    assert 1000 < predictor.tally.drifts[0] < 1200
    assert any("Drift at row 1," in line for line in run.lines)


def test_three_classes_and_new_answers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [number % 3 for number in range(300)]})
    frame["y"] = frame["x"].map({0: "a", 1: "b", 2: "c"})
    target = Field("y", "category", categories=("a", "b", "c"))
    fields = (Field("x", "category", categories=(0, 1, 2)),)
    trained = train(spec("logistic-regression"), tables(frame, fields, target), MemoryRun(tmp_path))
    assert trained.metrics["accuracy"] > 0.95
    learner: Any = trained.predictor
    before = learner.tally.seen
    with pytest.raises(InvalidRequest, match="'z' is not one of") as caught:
        learner.learn(frame.iloc[:2], ["a", "z"])
    assert caught.value.field == "target[1]"
    assert learner.tally.seen == before


def test_texts_are_learned_by_their_vectors(tmp_path: Path) -> None:
    """As a field says whose they are; serving makes them again."""
    texts = ["rain", "sun"] * 60
    frame = pd.DataFrame({"said": texts, "y": [text == "rain" for text in texts]})
    field = Field("said", "text", shape=(2,), embedder="words@1")

    def embed(texts: list[str]) -> Any:
        return np.array([[1.0, 0.0] if text == "rain" else [0.0, 1.0] for text in texts], np.float32)

    target = Field("y", "category", categories=(False, True))
    trained = train(spec("logistic-regression"), tables(frame, (field,), target, embed=embed), MemoryRun(tmp_path))
    assert trained.metrics["accuracy"] > 0.9
    with pytest.raises(InvalidRequest, match="nothing here embeds it"):
        train(spec("naive-bayes"), tables(frame, (Field("said", "text"),), target), MemoryRun(tmp_path))


def test_what_cannot_be_is_refused(phishing: Any, tmp_path: Path) -> None:
    data = tables(*phishing)
    with pytest.raises(InvalidRequest, match="did you mean 'grace_period'"):
        train(spec("hoeffding-tree", {"grace_perod": 1}), data, MemoryRun(tmp_path))
    with pytest.raises(InvalidRequest, match="did you mean 'hoeffding-tree'"):
        train(spec("hoefding-tree"), data, MemoryRun(tmp_path))
    with pytest.raises(Unsupported, match="hoeffding-tree"):
        train(spec("linear-regression"), data, MemoryRun(tmp_path))
