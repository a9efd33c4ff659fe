"""Whether a model treats the groups of a column alike.

Demographic parity: the same share of each group is selected. Equalised odds: the same share of those who deserve it,
and of those who do not (Hardt, Price and Srebro, "Equality of opportunity in supervised learning", 2016). The
differences are those of Fairlearn: the largest value of any group minus the smallest. With more than two classes, each
class in turn counts as selection, and the worst one is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Figure
from craton.training.reports.judging import Judged
from craton.training.reports.style import INK, Canvas, color, short

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

FEWEST = 10  # rows of a group from which its shares say something
MOST_GROUPS = 12
PARTS = 4  # of a column of numbers

PARITY, ODDS = "demographic_parity_difference", "equalized_odds_difference"
MEANS, ERRORS = "group_mean_difference", "group_error_difference"


@dataclass(frozen=True, slots=True)
class Fairness:
    """metrics: the differences. notes: what their reader must know."""

    figure: Figure
    metrics: dict[str, float]
    notes: list[str]


def fairness(judged: Judged, column: pd.Series[Any]) -> Fairness | None:
    """column: of the same rows. None when fewer than two groups have FEWEST rows."""
    groups, small = _groups(column)
    if len(groups) < 2:
        return None
    if judged.classes:
        rates = {name: _rates(judged, rows) for name, rows in groups.items()}
        metrics, worst = _of_classes(rates)
        label = judged.target.categories[worst]
        measures = {"selected": 0, "of those who truly are": 1, "of those who are not": 2}
        shown = {what: [float(rates[name][at, worst]) for name in groups] for what, at in measures.items()}
        title, axis = f"Fairness by {column.name}", f"share predicted as {short(label)}"
    else:
        errors = judged.predicted - judged.truth
        shown = {
            "mean prediction": [float(judged.predicted[rows].mean()) for rows in groups.values()],
            "mean absolute error": [float(abs(errors[rows]).mean()) for rows in groups.values()],
        }
        metrics = dict(zip((MEANS, ERRORS), (max(values) - min(values) for values in shown.values()), strict=True))
        title, axis = f"Fairness by {column.name}", "the target's unit"
    counts = [int(rows.sum()) for rows in groups.values()]
    figure = _drawn(title, axis, [*groups], counts, shown, metrics)
    notes = [f"Groups of {column.name!r} with fewer than {FEWEST} test rows are not compared: {', '.join(small)}."]
    return Fairness(figure, metrics, notes if small else [])


def _groups(column: pd.Series[Any]) -> tuple[dict[str, Array], list[str]]:
    """Group -> which rows; and those that are too small. Numbers of many values become ranges."""
    import pandas as pd

    if column.dtype.kind in "iuf" and column.nunique() > MOST_GROUPS:
        column = pd.qcut(column, PARTS, duplicates="drop").astype(object)
    counts = column.value_counts()
    names = sorted((name for name, count in counts.items() if count >= FEWEST), key=_order)
    kept = sorted(names, key=lambda name: -counts[name])[:MOST_GROUPS]
    groups = {_said(name): (column == name).to_numpy() for name in names if name in kept}
    return groups, [_said(name) for name in counts.index if name not in names]


def _order(name: Any) -> Any:
    return (0, name.left, "") if hasattr(name, "left") else (1, 0, str(name))


def _said(name: Any) -> str:
    return f"{name.left:.4g} to {name.right:.4g}" if hasattr(name, "left") else str(name)


def _rates(judged: Judged, rows: Array) -> Array:
    """For each class: how many are predicted as it, of all, of those who are it, of those who are not (NaN: nobody)."""
    import numpy as np

    found = np.full((3, len(judged.target.categories)), np.nan)
    for code in range(found.shape[1]):
        chosen, own = judged.predicted[rows] == code, judged.truth[rows] == code
        for at, part in enumerate((np.ones_like(own), own, ~own)):
            if part.any():
                found[at, code] = chosen[part].mean()
    return found


def _of_classes(rates: dict[str, Array]) -> tuple[dict[str, float], int]:
    """The differences, and the class that is selected most unlike. With two classes: of the second."""
    import numpy as np

    every = np.stack([*rates.values()])
    ranges = np.nan_to_num(_range(every))
    classes = ranges.shape[1]
    places = [1] if classes == 2 else [*range(classes)]
    worst = max(places, key=lambda place: float(ranges[0, place]))
    parity = float(ranges[0, places].max())
    odds = float(ranges[1:, places].max())
    return {PARITY: parity, ODDS: odds}, worst


def _range(values: Array) -> Array:
    """Largest minus smallest over the groups that have one."""
    import numpy as np

    high = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    low = np.where(np.isnan(values), np.inf, values).min(axis=0)
    found: Array = np.where(high >= low, high - low, np.nan)
    return found


def _drawn(
    title: str,
    axis: str,
    names: list[str],
    counts: list[int],
    shown: dict[str, list[float]],
    metrics: dict[str, float],
) -> Figure:
    canvas = Canvas(title, 6.8, 1.8 + 0.62 * len(names))
    axes, height = canvas.axes, 0.8 / len(shown)
    for at, (what, values) in enumerate(shown.items()):
        places = [place + (at - (len(shown) - 1) / 2) * height for place in range(len(names))]
        drawn = axes.barh(
            places, [_number(value) or 0.0 for value in values], height * 0.9, color=color(at), label=what
        )
        said = [f"{value:.3g}" if value == value else "nobody" for value in values]  # noqa: PLR0124 (NaN)
        axes.bar_label(drawn, said, padding=3, fontsize=7.5, color=INK)
    axes.set_yticks(
        range(len(names)), [f"{short(name, 20)}\n{count:,} rows" for name, count in zip(names, counts, strict=True)]
    )
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(axis, fontsize=9)
    canvas.below()
    groups = [
        {"group": name, "rows": count, **{what: _number(values[place]) for what, values in shown.items()}}
        for place, (name, count) in enumerate(zip(names, counts, strict=True))
    ]
    return canvas.figure("fairness", {"differences": metrics, "groups": groups})


def _number(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 (NaN)
