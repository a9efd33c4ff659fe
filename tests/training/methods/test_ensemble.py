"""Committees say what scikit-learn's would, stay whole, and are held against their best member."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skops")

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from craton.core.errors import Damaged, InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.committees import weighted_median
from craton.engines.predictor.loaders import load
from craton.training.methods.ensemble.training import train
from craton.training.methods.supervised.training import train as train_one
from craton.training.protocol import Tables, Trained
from craton.training.specification.methods import Classification, Ensemble, Member
from craton.training.specification.parts import Data, Model
from tests.training.memory import MemoryRun, saved_and_loaded, tables

IRIS, DIABETES = load_iris(), load_diabetes()
KINDS = ("setosa", "versicolor", "virginica")
BAYES, TREE, STUMP = Member("naive-bayes"), Member("decision-tree"), Member("decision-tree", {"max_depth": 1})
DATA = Data("datasets/acme/flowers@abc", target="target")


def flowers() -> Tables:
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(IRIS.data, columns=names).assign(target=[KINDS[code] for code in IRIS.target])
    frame = frame.astype({"target": object}).sample(frac=1, random_state=0, ignore_index=True)
    fields = tuple(Field(name, "number") for name in names)
    target = Field("target", "category", categories=KINDS)
    return tables(frame.head(100), fields, target, test=frame.tail(50))


def patients() -> Tables:
    frame = pd.DataFrame(DIABETES.data, columns=DIABETES.feature_names).assign(target=DIABETES.target)
    frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    fields = tuple(Field(name, "number") for name in DIABETES.feature_names)
    return tables(frame.head(300), fields, Field("target", "number"), test=frame.tail(100))


def made(folder: Path, rows: Tables, use: str, members: list[Member], **params: Any) -> tuple[Trained, Any]:
    """And what comes back from its files."""
    found = train(Ensemble(data=DATA, members=members, model=Model(use, params)), rows, MemoryRun(folder))
    return found, saved_and_loaded(found.predictor, folder / "kept", "ensemble")


def split(rows: Tables) -> tuple[Any, Any, Any]:
    names = [field.name for field in rows.fields]
    return rows.train[names].to_numpy(), rows.train["target"].to_numpy(), rows.test[names].to_numpy()


def test_soft_voting_is_scikit_learn_s(tmp_path: Path) -> None:
    rows = flowers()
    _, back = made(tmp_path, rows, "voting", [BAYES, TREE], weights=[1, 2])
    features, answers, new = split(rows)
    own = VotingClassifier(
        [("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))], voting="soft", weights=[1, 2]
    ).fit(features, answers)
    said = back.run("predict_proba", rows.test)
    assert np.allclose(said["probabilities"], own.predict_proba(new))
    assert said["prediction"].tolist() == own.predict(new).tolist()


def test_stacking_is_scikit_learn_s(tmp_path: Path) -> None:
    rows = flowers()
    members = [BAYES, Member("logistic-regression")]
    _, back = made(tmp_path, rows, "stacking", members, cv=3)
    features, answers, new = split(rows)
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    own = StackingClassifier(
        [("a", GaussianNB()), ("b", scaled)], cv=StratifiedKFold(3, shuffle=True, random_state=0)
    ).fit(features, answers)
    assert np.allclose(back.run("predict_proba", rows.test)["probabilities"], own.predict_proba(new), atol=1e-6)


def test_boosting_is_adaboost(tmp_path: Path) -> None:
    rows = flowers()
    _, back = made(tmp_path, rows, "boosting", [STUMP], n_estimators=20)
    features, answers, new = split(rows)
    own = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=20, random_state=0).fit(
        features, answers
    )
    said = back.run("predict_proba", rows.test)
    assert np.mean(said["prediction"] == own.predict(new)) > 0.97
    assert np.allclose(said["probabilities"], own.predict_proba(new), atol=0.02)


def test_numbers_are_averaged_boosted_and_stacked(tmp_path: Path) -> None:
    rows = patients()
    features, answers, new = split(rows)
    _, back = made(tmp_path / "a", rows, "voting", [Member("ridge"), TREE])
    scaled = make_pipeline(StandardScaler(), Ridge())
    own = VotingRegressor([("a", scaled), ("b", DecisionTreeRegressor(random_state=0))]).fit(features, answers)
    assert np.allclose(back.run("predict", rows.test)["prediction"], own.predict(new))
    small = Member("decision-tree", {"max_depth": 3})
    boosted, _ = made(tmp_path / "b", rows, "boosting", [small], n_estimators=15)
    library = AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=15, random_state=0)
    assert boosted.metrics["r2"] == pytest.approx(
        library.fit(features, answers).score(new, rows.test["target"]), abs=0.12
    )
    stacked, _ = made(tmp_path / "c", rows, "stacking", [Member("ridge"), small])
    assert stacked.metrics["r2"] > 0.35


def test_weighted_median_by_hand() -> None:
    values = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 9.0]])
    assert weighted_median(values, np.array([1.0, 1.0, 1.0])).tolist() == [2.0, 5.0]
    assert weighted_median(values, np.array([0.1, 0.1, 5.0])).tolist() == [2.0, 9.0]


def test_bagging_keeps_every_class_and_the_libraries_own_formats(tmp_path: Path) -> None:
    rows = flowers()
    rare = pd.concat(
        [rows.train[rows.train["target"] != "setosa"], rows.train[rows.train["target"] == "setosa"].head(1)]
    )
    members = [
        TREE,
        Member("lightgbm", {"n_estimators": 5, "min_child_samples": 2}),
        Member("xgboost", {"n_estimators": 5}),
    ]
    few = tables(rare.reset_index(drop=True), rows.fields, rows.target, test=rows.test)
    found, back = made(tmp_path, few, "bagging", members, n_estimators=3, max_samples=0.5)
    kept = {path.name for path in (tmp_path / "kept" / "members").rglob("*") if path.is_file()}
    assert kept == {"model.skops", "model.txt", "model.ubj"}
    assert found.predictor is not None
    said, again = (one.run("predict_proba", rows.test)["probabilities"] for one in (found.predictor, back))
    assert np.array_equal(said, again)
    assert np.allclose(said.sum(axis=1), 1)
    assert len(back.members) == 9


def test_models_of_the_hub_join_and_are_kept_whole(tmp_path: Path) -> None:
    rows = flowers()
    one = train_one(Classification(data=DATA, model=Model("logistic-regression")), rows, MemoryRun(tmp_path))
    saved_and_loaded(one.predictor, tmp_path / "hub", "classification")
    run = MemoryRun(tmp_path, {"model:acme/iris@main": tmp_path / "hub"})
    spec = Ensemble(data=DATA, members=[BAYES, Member(hub="acme/iris@main")], model=Model("stacking", {"cv": 3}))
    found = train(spec, rows, run)
    before = saved_and_loaded(found.predictor, tmp_path / "kept", "ensemble").run("predict_proba", rows.test)
    shutil.rmtree(tmp_path / "hub")
    after = load(tmp_path / "kept")
    assert np.array_equal(after.run("predict_proba", rows.test)["probabilities"], before["probabilities"])
    assert after.sources[1] == {"hub": "acme/iris@main"}  # type: ignore[attr-defined]
    assert "acme/iris@main" in found.notes[0]
    assert found.bases == ("acme/iris@main",)
    with pytest.raises(InvalidRequest, match="bagging fits every member anew"):
        train(
            Ensemble(data=DATA, members=[Member(hub="acme/iris@main")], model=Model("bagging")), rows, _again(tmp_path)
        )


def _again(tmp_path: Path) -> MemoryRun:
    one = train_one(Classification(data=DATA, model=Model("naive-bayes")), flowers(), MemoryRun(tmp_path))
    saved_and_loaded(one.predictor, tmp_path / "again", "classification")
    return MemoryRun(tmp_path, {"model:acme/iris@main": tmp_path / "again"})


def test_an_ensemble_that_does_not_win_says_so(tmp_path: Path) -> None:
    found, _ = made(tmp_path, flowers(), "voting", [Member("logistic-regression"), Member("dummy")], weights=[1, 9])
    assert found.metrics["gain"] < 0
    assert found.metrics["gain"] == pytest.approx(found.metrics["accuracy"] - found.metrics["best_member"])
    assert any("it does not win, it is worse" in note for note in found.notes)
    assert found.figures[0].name == "comparison"


@pytest.mark.parametrize(
    ("use", "members", "params", "said"),
    [
        ("voting", [], {}, "has members"),
        ("voting", [BAYES], {}, "at least two"),
        ("voting", [BAYES, Member()], {}, "either a learner"),
        ("voting", [BAYES, Member("lightgmb")], {}, "did you mean 'lightgbm'"),
        ("voting", [BAYES, TREE], {"weights": [1]}, "a number for each member"),
        ("voting", [BAYES, TREE], {"votng": "hard"}, "did you mean 'voting'"),
        ("stacking", [BAYES, TREE], {"final_estimator": "xgboost"}, "its own format"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, use: str, members: list[Member], params: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        made(tmp_path, flowers(), use, members, **params)


def test_members_that_only_guess_are_not_boosted(tmp_path: Path) -> None:
    rows = flowers()
    rarest = KINDS.index(str(rows.train["target"].value_counts().index[-1]))
    with pytest.raises(InvalidRequest, match="better than guessing"):
        made(tmp_path, rows, "boosting", [Member("dummy", {"strategy": "constant", "constant": rarest})])


def test_a_committee_whose_description_was_changed_is_refused(tmp_path: Path) -> None:
    made(tmp_path, flowers(), "voting", [BAYES, TREE])
    text = (tmp_path / "kept" / "model.json").read_text()
    (tmp_path / "kept" / "model.json").write_text(text.replace('"weights":[1.0,1.0]', '"weights":[1.0]'))
    with pytest.raises(Damaged, match="a weight for each"):
        load(tmp_path / "kept")
