"""What a search found, for the model's report."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec

from craton.training.protocol import Figure, Run, Trained
from craton.training.reports.style import FAINT, Canvas, color
from craton.training.search.searching import Found, Tried


def with_search(trained: Trained, found: Found, run: Run) -> Trained:
    """The same with the search's picture and what to know of it."""
    for name, value in found.params.items():
        run.parameter(f"search.best.{name}", value)
    run.metric(f"search_best_{found.goal.metric}", found.score)
    return replace(trained, figures=[*trained.figures, picture(found)], notes=[*trained.notes, note(found)])


def note(found: Found) -> str:
    states = [one.state for one in found.trials]
    ended = [f"{states.count(state)} {state}" for state in ("stopped", "failed") if state in states]
    rest = f" ({', '.join(ended)})" if ended else ""
    best = ", ".join(f"{name}={value!r}" for name, value in found.params.items())
    return (
        f"{len(found.trials):,} combinations of parameters were tried{rest} by cross-validation on the training rows, "
        f"{found.folds} folds; the best is {best} with {found.goal.metric} {found.score:.6g}. As the best of many it "
        "looks better than it is: the figures on the test rows count."
    )


def picture(found: Found) -> Figure:
    """Each trial, and the best one so far."""
    canvas = Canvas("Hyperparameter search", 6.8, 4.0)
    axes = canvas.axes
    for state, marker, paint in (("whole", "o", color(0)), ("stopped", "x", FAINT)):
        points = [(at, one.score) for at, one in enumerate(found.trials) if one.state == state]
        if points:
            axes.scatter(*zip(*points, strict=True), s=26, marker=marker, color=paint, label=f"{state} trial", zorder=3)
    axes.step(range(len(found.trials)), _best(found), where="post", color=color(1), linewidth=1.5, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{found.goal.metric}, mean of {found.folds} folds")
    axes.xaxis.get_major_locator().set_params(integer=True)
    canvas.below()
    return canvas.figure(
        "search", {"best": found.params, "goal": str(found.goal), "trials": [*map(_data, found.trials)]}
    )


def _best(found: Found) -> list[float]:
    better = min if found.goal.smallest else max
    nothing = float("inf") if found.goal.smallest else float("-inf")
    scores = [one.score if one.state == "whole" and one.score is not None else nothing for one in found.trials]
    return [value if abs(value) != float("inf") else float("nan") for value in accumulate(scores, better)]


def _data(tried: Tried) -> Any:
    return msgspec.to_builtins(tried)
