"""Trials: each a combination of parameters, measured fold by fold. optuna chooses them and stops the hopeless ones.

Bergstra and Bengio, "Random search for hyper-parameter optimization" (2012); TPE: Bergstra et al., "Algorithms for
hyper-parameter optimization" (2011); a trial that is worse than the median of those before it is stopped (Golovin et
al., "Google Vizier", 2017). Nothing is stored: a search that is cut off begins again, with the same choices.
"""

from __future__ import annotations

import math
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.training.protocol import Run, Score
from craton.training.search.goals import Goal
from craton.training.search.space import Choice, Space, combinations, read_space
from craton.training.specification.parts import Search

if TYPE_CHECKING:
    import optuna

TRIALS = 20  # where the specification does not say it
MOST_TRIALS = 10_000
UNPRUNED = 5  # trials that all others are compared with


class Tried(Struct, frozen=True):
    """One trial. score: the mean over the folds, of those that were measured when it was stopped; None when it failed,
    with the reason."""

    params: dict[str, Any]
    state: Literal["whole", "stopped", "failed"]
    score: float | None
    reason: str = ""


class Found(Struct, frozen=True):
    """params: the best ones. trials: all, in their order."""

    params: dict[str, Any]
    score: float
    goal: Goal
    folds: int
    trials: tuple[Tried, ...]


def search(asked: Search, goal: Goal, folds: int, seed: int, score: Score, run: Run) -> Found:
    """Raises InvalidRequest, also when no combination worked. With `parallel` above 1 the choices depend on which trial
    ends first, so two searches may differ. On a cluster, trials beside each other are measured on several nodes."""
    searching = _Searching(asked, goal, folds, seed, run)
    return searching.run(run.team(asked.parallel, here=False).spread(score))


class _Searching:
    def __init__(self, asked: Search, goal: Goal, folds: int, seed: int, run: Run) -> None:
        self._asked, self._goal, self._folds, self._seed = asked, goal, folds, seed
        self._run = run
        self._space = read_space(asked.space)
        self._total = _trials(asked, self._space)
        self._lock = Lock()
        self._tried: dict[int, Tried] = {}
        self._known: dict[str, float] = {}

    def run(self, score: Score) -> Found:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # trials are told to the run
        pruner: Any = optuna.pruners.MedianPruner(UNPRUNED) if self._asked.prune else optuna.pruners.NopPruner()
        study = optuna.create_study(
            sampler=self._sampler(), pruner=pruner, direction="minimize" if self._goal.smallest else "maximize"
        )
        threads = min(self._asked.parallel, self._total)
        study.optimize(lambda trial: self._trial(trial, score), self._total, n_jobs=threads, catch=_Refused)
        trials = tuple(self._tried[number] for number in sorted(self._tried))
        whole = [one for one in trials if one.state == "whole"]
        if not whole:
            reason = next((one.reason for one in trials if one.reason), "nothing was measured")
            raise InvalidRequest(f"no combination could be trained; the first: {reason}", "search.space")
        best = (min if self._goal.smallest else max)(whole, key=lambda one: one.score or 0.0)
        assert best.score is not None
        return Found(best.params, best.score, self._goal, self._folds, trials)

    def _sampler(self) -> Any:
        import optuna

        if self._asked.strategy == "grid":
            places = {name: [*range(len(one.values))] for name, one in self._space.items() if isinstance(one, Choice)}
            return optuna.samplers.GridSampler(places, seed=self._seed)
        if self._asked.strategy == "random":
            return optuna.samplers.RandomSampler(seed=self._seed)
        return optuna.samplers.TPESampler(seed=self._seed, constant_liar=self._asked.parallel > 1)

    def _trial(self, trial: optuna.Trial, score: Score) -> float:
        import optuna

        params = {name: dimension.suggest(trial, name) for name, dimension in self._space.items()}
        key = repr(sorted(params.items()))
        if key in self._known:
            return self._ended(trial.number, Tried(params, "whole", self._known[key]))
        scores: list[float] = []
        for fold in range(self._folds):
            self._run.check()
            try:
                value = score(params, fold)
            except (ValueError, TypeError) as error:
                self._ended(trial.number, Tried(params, "failed", None, str(error)[:500]))
                raise _Refused from error
            if not math.isfinite(value):
                self._ended(trial.number, Tried(params, "failed", None, f"{self._goal.metric} is {value}"))
                raise _Refused
            scores.append(value)
            mean = sum(scores) / len(scores)
            trial.report(mean, fold)
            if fold + 1 < self._folds and trial.should_prune():
                self._ended(trial.number, Tried(params, "stopped", mean))
                raise optuna.TrialPruned
        self._known[key] = mean
        return self._ended(trial.number, Tried(params, "whole", mean))

    def _ended(self, number: int, tried: Tried) -> float:
        with self._lock:
            self._tried[number] = tried
            self._run.progress(len(self._tried), self._total, "trials")
            if tried.score is not None:
                self._run.metric(f"search_{self._goal.metric}", tried.score, number)
            said = "" if tried.score is None else f"{self._goal.metric} {tried.score:.6g}, "
            shown = ", ".join(f"{name}={value!r}" for name, value in tried.params.items())
            why = f": {tried.reason}" if tried.reason else ""
            self._run.log(f"trial {number}: {said}{tried.state} ({shown}){why}")
        return math.nan if tried.score is None else tried.score


class _Refused(Exception):
    """These parameters do not work; the search goes on."""


def _trials(asked: Search, space: Space) -> int:
    if asked.parallel < 1:
        raise InvalidRequest("at least 1", "search.parallel")
    if asked.trials is not None and not 1 <= asked.trials <= MOST_TRIALS:
        raise InvalidRequest(f"from 1 to {MOST_TRIALS:,}", "search.trials")
    if asked.strategy == "grid":
        every = combinations(space)
        return every if asked.trials is None else min(asked.trials, every)
    return asked.trials or TRIALS
