"""What the groups of a clustering are like: the means of their columns, beside those of all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field
from craton.engines.predictor.preprocessing import encode, names
from craton.training.protocol import Figure
from craton.training.reports.style import DIVERGING, INK, Canvas, short

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

MOST_COLUMNS = 16
MOST_GROUPS = 20


def profile(rows: pd.DataFrame, fields: tuple[Field, ...], groups: Array) -> Figure:
    """How far each group's mean is from that of all rows, in standard deviations. Columns that tell groups apart best
    come first; vectors are left out."""
    import numpy as np

    plain = tuple(field for field in fields if not field.shape)
    matrix, columns = encode(rows, plain, "one-hot"), names(plain, "one-hot")
    found = [int(code) for code in np.unique(groups) if code >= 0]
    mean, spread = np.nanmean(matrix, axis=0), np.nanstd(matrix, axis=0)
    means = np.array([np.nanmean(matrix[groups == code], axis=0) for code in found]).reshape(len(found), -1)
    distances = (means - mean) / np.where(spread > 0, spread, 1)
    order = np.argsort(-np.abs(distances).max(axis=0, initial=0), kind="stable")
    shown, kept = order[:MOST_COLUMNS], found[:MOST_GROUPS]
    canvas = Canvas("What sets the groups apart", 3.6 + 0.5 * len(kept), 1.8 + 0.3 * len(shown))
    _cells(canvas, distances[: len(kept), shown].T, [columns[at] for at in shown], kept)
    data = {
        "columns": columns,
        "means": mean.tolist(),
        "groups": [
            {"group": code, "rows": int((groups == code).sum()), "means": row.tolist()}
            for code, row in zip(found, means, strict=True)
        ],
    }
    return canvas.figure("profiles", data)


def _cells(canvas: Canvas, values: Array, columns: list[str], groups: list[int]) -> None:
    import numpy as np

    axes = canvas.axes
    drawn = axes.imshow(values, cmap=DIVERGING, vmin=-2, vmax=2, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(groups)), [str(code) for code in groups])
    axes.set_yticks(range(len(columns)), [short(name) for name in columns])
    axes.set_xlabel("group")
    if len(groups) <= 12:
        for row, column in np.ndindex(values.shape):
            paint = "white" if abs(values[row, column]) > 1.5 else INK
            axes.text(column, row, f"{values[row, column]:+.1f}", ha="center", va="center", color=paint, fontsize=7.5)
    canvas.bar(drawn, "standard deviations from the mean of all rows")
