"""A search finds what is best, tells every trial, and never sees the test rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from craton.core.errors import InvalidRequest
from craton.core.job import JobCancelled
from craton.training.data.bundled import read_bundled
from craton.training.data.loading import tables
from craton.training.data.refs import BundledRef
from craton.training.methods.supervised.training import train
from craton.training.search.goals import Goal, read_goal
from craton.training.search.searching import Found, search
from craton.training.search.space import read_space
from craton.training.specification.parts import Search
from craton.training.specification.reading import read
from tests.training.memory import MemoryRun

LARGEST, SMALLEST = Goal("accuracy", smallest=False), Goal("rmse", smallest=True)


def found(tmp_path: Path, asked: Search, score: Any, goal: Goal = LARGEST, folds: int = 3) -> tuple[Found, MemoryRun]:
    run = MemoryRun(tmp_path)
    return search(asked, goal, folds, 0, score, run), run


def test_a_grid_tries_every_combination_once(tmp_path: Path) -> None:
    asked = Search({"a": [1, 2, 3], "b": ["x", "y"]}, "grid", prune=False)
    result, run = found(tmp_path, asked, lambda params, fold: params["a"] + (params["b"] == "y") / 2 + fold)
    assert {(one.params["a"], one.params["b"]) for one in result.trials} == {(a, b) for a in (1, 2, 3) for b in "xy"}
    assert result.params == {"a": 3, "b": "y"}
    assert result.score == 4.5  # the mean over folds 0, 1, 2
    assert len(run.curves["search_accuracy"]) == 6


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_ranges_are_searched_and_the_same_seed_finds_the_same(tmp_path: Path, strategy: Any) -> None:
    asked = Search({"x": {"low": -4.0, "high": 4.0}, "n": {"low": 1, "high": 9}}, strategy, trials=40)
    first, _ = found(tmp_path, asked, lambda params, fold: (params["x"] - 1) ** 2 + params["n"], SMALLEST)
    again, _ = found(tmp_path, asked, lambda params, fold: (params["x"] - 1) ** 2 + params["n"], SMALLEST)
    assert first.trials == again.trials
    assert all(-4 <= one.params["x"] <= 4 and isinstance(one.params["n"], int) for one in first.trials)
    assert first.score < 4
    assert first.score == min(one.score for one in first.trials if one.state == "whole" and one.score is not None)


def test_hopeless_trials_are_stopped_before_their_last_fold(tmp_path: Path) -> None:
    asked_of: dict[int, int] = {}

    def score(params: dict[str, Any], fold: int) -> float:
        asked_of[params["x"]] = fold
        return -float(params["x"])

    result, _ = found(tmp_path, Search({"x": [*range(30)]}, "grid"), score)
    stopped = [one for one in result.trials if one.state == "stopped"]
    assert stopped
    assert all(asked_of[one.params["x"]] == 0 for one in stopped)
    assert result.params == {"x": 0}


def test_trials_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    asked = Search({"x": [*range(12)]}, "grid", parallel=3, prune=False)
    result, run = found(tmp_path, asked, lambda params, fold: float(params["x"]))
    assert sorted(one.params["x"] for one in result.trials) == [*range(12)]
    assert sorted(run.curves["search_accuracy"]) == [
        (at, float(one.params["x"])) for at, one in enumerate(result.trials)
    ]


def test_parameters_that_do_not_work_cost_one_trial(tmp_path: Path) -> None:
    def score(params: dict[str, Any], fold: int) -> float:
        if params["x"] == 0:
            raise ValueError("x must be positive")
        return math.nan if params["x"] == 1 else float(params["x"])

    result, _ = found(tmp_path, Search({"x": [0, 1, 2]}, "grid"), score)
    assert sorted((one.params["x"], one.state) for one in result.trials) == [(0, "failed"), (1, "failed"), (2, "whole")]
    with pytest.raises(InvalidRequest, match="x must be positive"):
        found(tmp_path, Search({"x": [0]}, "grid"), score)


def test_a_search_ends_when_its_run_is_to_stop(tmp_path: Path) -> None:
    def stop() -> None:
        raise JobCancelled

    run = MemoryRun(tmp_path, stop=stop)
    with pytest.raises(JobCancelled):
        search(Search({"x": [1, 2]}, "grid"), LARGEST, 2, 0, lambda params, fold: 0.0, run)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "names no parameter"),
        ({"x": []}, "empty"),
        ({"x": 3}, "a list of values, or a range"),
        ({"x": {"low": 1}}, "low and high"),
        ({"x": {"low": 2, "high": 1}}, "less than"),
        ({"x": {"low": 0, "high": 1, "log": True}}, "above zero"),
        ({"x": {"low": 1, "hgih": 2}}, "did you mean 'high'"),
        ({"x": {"low": 0.5, "high": 2, "int": True}}, "whole"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_by_its_place(space: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        read_space(space)
    assert caught.value.field.startswith("search.space")


def test_a_grid_needs_lists(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="list of values"):
        found(tmp_path, Search({"x": {"low": 0, "high": 1}}, "grid"), lambda params, fold: 0.0)


def test_a_goal_that_would_make_it_worse_is_refused() -> None:
    known = ("accuracy", "log_loss", "rmse")
    assert read_goal("", known, "accuracy") == LARGEST
    assert read_goal("-rmse", known, "accuracy") == SMALLEST
    for wrong, said in (("log_loss", "'-log_loss'"), ("-accuracy", "'accuracy'"), ("acuracy", "did you mean")):
        with pytest.raises(InvalidRequest, match=said):
            read_goal(wrong, known, "accuracy")


def test_a_classifier_gets_the_parameters_that_were_best_on_the_training_rows(tmp_path: Path) -> None:
    spec = read(
        {
            "method": "classification",
            "data": {"ref": "sklearn:wine", "target": "target"},
            "model": {"use": "decision-tree"},
            "search": {"space": {"max_depth": [1, 4]}, "strategy": "grid", "metric": "-log_loss"},
        }
    )
    run = MemoryRun(tmp_path)
    rows = tables(spec, read_bundled(BundledRef("sklearn", "wine"), "", None), None, run.warn)
    trained = train(spec, rows, run)  # type: ignore[arg-type]
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    features, answers = rows.train[[field.name for field in rows.fields]].to_numpy(), rows.train["target"].to_numpy()
    scores = {
        depth: -cross_val_score(
            DecisionTreeClassifier(max_depth=depth, random_state=0),
            features,
            answers,
            cv=StratifiedKFold(3, shuffle=True, random_state=0),
            scoring="neg_log_loss",
        ).mean()
        for depth in (1, 4)
    }
    assert run.parameters["search.best.max_depth"] == min(scores, key=lambda depth: scores[depth])
    assert sorted(score for _, score in run.curves["search_log_loss"]) == pytest.approx(sorted(scores.values()))
    assert [figure.name for figure in trained.figures] == ["search"]
    assert "2 combinations" in trained.notes[-1]
