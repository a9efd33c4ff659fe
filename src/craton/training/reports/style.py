"""How all pictures of a report look: few lines, few colours, told apart by those who see colours differently."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from craton.training.protocol import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito, "Color universal design" (2008)."""

INK, FAINT, NONE = "#333333", "#8C8C8C", "#C4C4C4"
SEQUENTIAL, DIVERGING = "cividis", "coolwarm"
NAME_LENGTH = 28  # characters of a name that are shown


class Canvas:
    """One picture: `axes` to draw in, then `figure`."""

    def __init__(self, title: str, width: float = 6.4, height: float = 4.4, panels: int = 1, down: int = 1) -> None:
        from matplotlib.figure import Figure as Drawing  # without pyplot: nothing global, and no window (Agg)

        self._title = title
        self._drawing = Drawing(figsize=(width, height), dpi=110, layout="constrained")
        self._drawing.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
        self.panels = [*self._drawing.subplots(down, panels, squeeze=False).flat]
        for axes in self.panels:
            _plain(axes)
        self.axes = self.panels[0]

    def bar(self, drawn: Any, label: str) -> None:
        """The scale of colours that stand for numbers."""
        scale = self._drawing.colorbar(drawn, ax=self.axes, shrink=0.85, pad=0.02)
        scale.set_label(label, color=INK, fontsize=9)
        scale.outline.set_visible(False)
        scale.ax.tick_params(labelsize=8, colors=INK, length=0)

    def key(self, title: str = "", place: str = "best", axes: Any = None) -> None:
        """What the colours mean."""
        (axes or self.axes).legend(
            frameon=False, fontsize=8.5, labelcolor=INK, loc=place, title=title or None, title_fontsize=8.5
        )

    def below(self) -> None:
        """The same, under the picture: where it would cover something anywhere else."""
        handles, labels = self.axes.get_legend_handles_labels()
        self._drawing.legend(
            handles, labels, frameon=False, fontsize=8.5, labelcolor=INK, loc="outside lower center", ncols=len(labels)
        )

    def beside(self) -> None:
        """The same, right of the picture."""
        handles, labels = self.axes.get_legend_handles_labels()
        self._drawing.legend(handles, labels, frameon=False, fontsize=8.5, labelcolor=INK, loc="outside right center")

    def figure(self, name: str, data: Any = None) -> Figure:
        buffer = BytesIO()
        self._drawing.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
        return Figure(name, self._title, buffer.getvalue(), data)


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(NONE)
    axes.tick_params(colors=INK, labelsize=8.5, length=3, color=NONE)
    axes.grid(color="#ECECEC", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def bars(canvas: Canvas, names: Sequence[str], values: Sequence[float], label: str, spread: Any = None) -> None:
    """Lying bars, the first on top."""
    axes, places = canvas.axes, range(len(names))
    error = None if spread is None else {"ecolor": FAINT, "elinewidth": 1, "capsize": 2}
    axes.barh(places, values, xerr=spread, color=COLORS[0], height=0.68, error_kw=error)
    axes.set_yticks(places, [short(name) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=NONE, linewidth=1)
    axes.set_xlabel(label, fontsize=9)


def color(place: int) -> str:
    return COLORS[place % len(COLORS)]


def short(name: Any, length: int = NAME_LENGTH) -> str:
    """A name as it fits beside a picture. Dollars would begin a formula."""
    text = " ".join(str(name).split()).replace("$", r"\$")
    return text if len(text) <= length else f"{text[: length - 1]}…"
