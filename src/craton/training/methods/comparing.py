"""Two models on the same test rows: how much better one is, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.engines.predictor.protocol import Predictor
from craton.training.protocol import Figure, Tables
from craton.training.reports.comparison import comparison
from craton.training.reports.judging import Judged, judged

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """gain: what the new one has more than the best of the others, of accuracy, or of R2 for numbers; below zero where
    it has less. error: its standard error. best: the name of that other; other: its figure. note: for the card."""

    gain: float
    error: float
    best: str
    other: float
    note: str
    figure: Figure


def compared(new: Predictor, others: Mapping[str, Predictor], tables: Tables, name: str, of: str = "") -> Beside:
    """tables.test: rows as predictors take them, at least one. of: what the new one is, for the picture."""
    target = tables.target
    assert target is not None
    ours = judged(new, tables.test, target)
    theirs = {one: judged(predictor, tables.test, target) for one, predictor in others.items()}
    figures = {one: _figure(found) for one, found in theirs.items()}
    best = max(figures, key=lambda one: figures[one])
    gain, error = _figure(ours) - figures[best], _error(ours, theirs[best])
    measure = "accuracy" if ours.classes else "R2"
    label = f"{name}, {of}" if of else name
    picture = comparison({label: _figure(ours), **figures}, measure, gain, error)
    verdict = _verdict(gain, error)
    note = (
        f"On {len(ours.truth):,} test rows {name} has {measure} {_figure(ours):.4g}, {best} {figures[best]:.4g}: "
        f"{verdict} ({gain:+.4f}, standard error {error:.4f})."
    )
    return Beside(gain, error, best, figures[best], note, picture)


def _verdict(gain: float, error: float) -> str:
    if gain == 0:
        return "it does not win, they are equal"
    small = ", within what chance does" if abs(gain) < 2 * error else ""
    return f"it wins{small}" if gain > 0 else f"it does not win, it is worse{small}"


def _figure(found: Judged) -> float:
    import numpy as np

    if found.classes:
        return float(np.mean(found.truth == found.predicted))
    spread = float(np.mean((found.truth - found.truth.mean()) ** 2))
    return 1 - found.loss**2 / spread if spread else 0.0


def _error(first: Judged, second: Judged) -> float:
    """Of the difference on the same rows: the deviation of what each row adds to it, over the root of their number."""
    import numpy as np

    if first.classes:
        each = (first.truth == first.predicted).astype(float) - (second.truth == second.predicted)
    else:
        spread = float(np.mean((first.truth - first.truth.mean()) ** 2)) or 1.0
        each = ((second.truth - second.predicted) ** 2 - (first.truth - first.predicted) ** 2) / spread
    return float(each.std() / np.sqrt(len(each)))
