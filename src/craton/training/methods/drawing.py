"""Curves as pictures for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

from craton.training.protocol import Figure

Curve = Sequence[tuple[float, float]]


def curves(
    name: str, title: str, lines: Mapping[str, Curve], x: str, y: str = "", marks: Sequence[float] = ()
) -> Figure:
    """lines: what each is called -> its points. marks: places on the x axis, each a dotted line."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(7, 4), dpi=110, layout="constrained")
    axes = drawing.subplots()
    for label, points in lines.items():
        if points:
            axes.plot(*zip(*points, strict=True), label=label)
    for mark in marks:
        axes.axvline(mark, color="grey", linestyle=":")
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend()
    buffer = BytesIO()
    drawing.savefig(buffer, format="png", metadata={"Software": None})
    data = {"lines": {label: [list(point) for point in points] for label, points in lines.items()}}
    return Figure(name, title, buffer.getvalue(), {**data, "marks": list(marks)} if marks else data)
