"""Pictures of what was found without labels: rows on a plane, and how much of their spread each axis holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Figure
from craton.training.reports.style import FAINT, Canvas, color, short

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

POINTS = 3000
NOISE = -1
MOST_NAMED = 16
MARKERS = ("o", "^", "s", "D")


def plane(
    name: str, title: str, points: Array, groups: Array | None, names: Sequence[Any] = (), axes: Sequence[str] = ()
) -> Figure:
    """points: shape (rows, 2 or more), of which the first two are drawn. groups: of each row, NOISE for none; names: of
    the groups, their numbers when empty. Beyond the eighth group the marker changes with the colour."""
    import numpy as np

    kept = np.unique(np.linspace(0, len(points) - 1, min(len(points), POINTS)).round().astype(int))
    shown = points[kept]
    if shown.shape[1] == 1:
        shown = np.column_stack([shown[:, 0], np.zeros(len(shown))])
    canvas = Canvas(title, 6.8, 4.8)
    if groups is None:
        canvas.axes.scatter(shown[:, 0], shown[:, 1], s=12, alpha=0.6, color=color(0), linewidths=0)
    else:
        _groups(canvas, shown, groups[kept], names)
    x, y = axes or ("first axis", "second axis")
    canvas.axes.set_xlabel(x)
    canvas.axes.set_ylabel(y)
    data: dict[str, Any] = {"points": np.round(shown[:, :2], 4).tolist(), "rows": len(points)}
    if groups is not None:
        data |= {"groups": groups[kept].tolist(), "names": [str(one) for one in names]}
    return canvas.figure(name, data)


def _groups(canvas: Canvas, points: Array, groups: Array, names: Sequence[Any]) -> None:
    import numpy as np

    found = [int(group) for group in np.unique(groups)]
    if NOISE in found:
        own = points[groups == NOISE]
        canvas.axes.scatter(
            own[:, 0], own[:, 1], s=8, color=FAINT, alpha=0.5, marker="x", linewidths=0.8, label="noise"
        )
    numbered = [group for group in found if group != NOISE]
    for group in numbered:
        own = points[groups == group]
        label = short(names[group]) if group < len(names) else str(group)
        marker = MARKERS[group // 8 % len(MARKERS)]
        canvas.axes.scatter(
            own[:, 0], own[:, 1], s=14, alpha=0.7, color=color(group), marker=marker, linewidths=0, label=label
        )
    if len(numbered) <= MOST_NAMED:
        canvas.beside()


def explained(ratios: Sequence[float]) -> Figure:
    """The share of the variance that each component holds, and all up to it together."""
    from itertools import accumulate

    canvas = Canvas("Explained variance", 6.4, 4.0)
    places = range(1, len(ratios) + 1)
    total = [*accumulate(ratios)]
    canvas.axes.bar(places, ratios, color=color(0), width=0.75, label="this component")
    canvas.axes.plot(places, total, color=color(1), marker="o", markersize=3.5, linewidth=1.5, label="all up to it")
    canvas.axes.set_ylim(0, 1.02)
    canvas.axes.set_xlabel("component")
    canvas.axes.set_ylabel("share of the variance")
    canvas.axes.xaxis.get_major_locator().set_params(integer=True)
    canvas.key(place="center right")
    return canvas.figure("explained_variance", {"ratios": [*ratios], "cumulative": total})
