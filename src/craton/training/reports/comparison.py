"""Models side by side."""

from __future__ import annotations

from collections.abc import Mapping

from craton.training.protocol import Figure
from craton.training.reports.style import FAINT, INK, Canvas, color, short

MOST = 20


def comparison(figures: Mapping[str, float], measure: str, gain: float, error: float) -> Figure:
    """figures: the new model's first, then those of the others, of which the best ones are shown."""
    new, *others = figures
    names = [new, *sorted(others, key=lambda name: -figures[name])[: MOST - 1]]
    values = [figures[name] for name in names]
    canvas = Canvas("Beside each other", 6.8, 1.8 + 0.36 * len(names))
    axes = canvas.axes
    paints = [color(0), *[FAINT] * (len(names) - 1)]
    drawn = axes.barh(range(len(names)), values, color=paints, height=0.66)
    axes.bar_label(drawn, [f"{value:.4g}" for value in values], padding=4, fontsize=8.5, color=INK)
    axes.set_yticks(range(len(names)), [short(name, 42) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(min(0.0, *values), max(*values, 0.01) * 1.12)
    said = f"{measure} on the test rows\n{gain:+.4f} over the best other, standard error {error:.4f}"
    axes.set_xlabel(said, fontsize=9)
    return canvas.figure("comparison", {"measure": measure, "figures": {**figures}, "gain": gain, "error": error})
