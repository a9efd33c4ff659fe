"""Attention as a picture: a grid for each head, the tokens that look from above to below, those that they look at from
left to right, the darker the more. Shades go with the square root of the share, so that small ones can be seen too."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    Grids = NDArray[np.float32]

_DPI = 110
_APART = 36
"""Grids that are drawn each with its title; more of them become one mosaic of layers and heads."""
_NAMED = 16
"""Tokens whose names fit beside a grid among others."""
_LABELS = 64
_LONGEST = 14  # letters of a token's name
_TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def draw(model: str, tokens: Sequence[str], chosen: Sequence[tuple[int, int]], grids: Grids) -> bytes:
    """A PNG. chosen: layer and head of each grid."""
    import matplotlib as mpl

    mpl.rcParams["text.parse_math"] = False  # a token may be a dollar sign
    if len(chosen) == 1:
        figure = _single(model, tokens, chosen[0], grids[0])
    elif len(chosen) <= _APART:
        figure = _several(model, tokens, chosen, grids)
    else:
        figure = _mosaic(model, len(tokens), chosen, grids)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=_DPI)
    return written.getvalue()


def _figure(width: float, height: float) -> Figure:
    """In inches. Made without pyplot, which keeps every figure until it is told to forget it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="compressed")
    FigureCanvasAgg(figure)
    return figure


def _single(model: str, tokens: Sequence[str], chosen: tuple[int, int], grid: Grids) -> Figure:
    side = min(3.2 + 0.3 * len(tokens), 16.0)
    figure = _figure(side + 1.3, side)
    axes = figure.subplots()
    image = _image(axes, grid)
    _name(axes, tokens, 10 if len(tokens) <= 24 else 7)
    axes.set_title(f"{model}: layer {chosen[0]}, head {chosen[1]}", fontsize=12)
    axes.set_xlabel("looks at")
    axes.set_ylabel("token")
    _bar(figure, image, [axes])
    return figure


def _several(model: str, tokens: Sequence[str], chosen: Sequence[tuple[int, int]], grids: Grids) -> Figure:
    across = math.ceil(math.sqrt(len(chosen)))
    down = math.ceil(len(chosen) / across)
    named = len(tokens) <= _NAMED
    side = max(2.0, 1.0 + 0.17 * len(tokens)) if named else 2.6
    figure = _figure(across * side + 1.2, down * (side + 0.3) + 0.5)
    places = np.atleast_1d(figure.subplots(down, across)).ravel()
    for axes, (layer, head), grid in zip(places, chosen, grids, strict=False):
        image = _image(axes, grid)
        axes.set_title(f"layer {layer}, head {head}", fontsize=9)
        _name(axes, tokens if named else (), 7)
    for axes in places[len(chosen) :]:
        axes.set_axis_off()
    figure.suptitle(f"{model}: which token (row) looks at which (column)", fontsize=12)
    _bar(figure, image, list(places))
    return figure


def _mosaic(model: str, size: int, chosen: Sequence[tuple[int, int]], grids: Grids) -> Figure:
    layers, heads = sorted({layer for layer, _ in chosen}), sorted({head for _, head in chosen})
    gap = max(1, size // 10)
    step = size + gap
    whole = np.full((len(layers) * step - gap, len(heads) * step - gap), np.nan, dtype=np.float32)
    for (layer, head), grid in zip(chosen, grids, strict=True):
        top, left = layers.index(layer) * step, heads.index(head) * step
        whole[top : top + size, left : left + size] = grid
    inch = max(0.55, min(1.1, 60 / max(len(layers), len(heads))))
    figure = _figure(len(heads) * inch + 2.2, len(layers) * inch + 1.4)
    axes = figure.subplots()
    image = _image(axes, whole)
    axes.set_facecolor("0.8")
    middle = (size - 1) / 2
    axes.set_xticks([n * step + middle for n in range(len(heads))], [str(head) for head in heads], fontsize=8)
    axes.set_yticks([n * step + middle for n in range(len(layers))], [str(layer) for layer in layers], fontsize=8)
    axes.tick_params(top=True, labeltop=True, length=0)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")
    axes.set_title(f"{model}: {size} tokens, each small square one head", fontsize=11)
    _bar(figure, image, [axes])
    return figure


def _image(axes: Axes, grid: Grids) -> AxesImage:
    from matplotlib.colors import PowerNorm

    return axes.imshow(grid, cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=1.0), aspect="equal")


def _name(axes: Axes, tokens: Sequence[str], size: int) -> None:
    every = max(1, math.ceil(len(tokens) / _LABELS))
    places = list(range(0, len(tokens), every))
    names = [_label(tokens[place]) for place in places]
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=2)


def _label(token: str) -> str:
    """With its spaces to be seen: a token often begins with one."""
    shown = token.replace(" ", "\u00b7").replace("\n", "\\n").replace("\t", "\\t")
    shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}\u2026"


def _bar(figure: Figure, image: AxesImage, axes: list[Axes]) -> None:
    shrink = min(0.8, 6.0 / figure.get_figheight())
    bar = figure.colorbar(image, ax=axes, shrink=shrink, aspect=25, label="share of a token's attention", ticks=_TICKS)
    bar.ax.set_yticklabels([f"{tick:g}" for tick in _TICKS])
