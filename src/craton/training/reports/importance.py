"""How much worse a model gets when one column is shuffled (Breiman, "Random forests", 2001)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.training.protocol import Figure, Run
from craton.training.reports.judging import judged
from craton.training.reports.style import Canvas, bars

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = 1000
REPEATS = 5
ASKED = 20_000  # rows that the model may be asked about for one picture
AT_ONCE = 5000
SHOWN = 15


def permutation_importance(
    predictor: Predictor, rows: pd.DataFrame, fields: tuple[Field, ...], target: Field, seed: int, run: Run
) -> Figure | None:
    """None with too few rows for the columns. Columns that say the same hide each other: each alone changes little."""
    import numpy as np
    import pandas as pd

    rows = rows.head(min(ROWS, ASKED // len(fields))).reset_index(drop=True)
    if len(rows) < 2:
        return None
    repeats = max(1, min(REPEATS, ASKED // (len(fields) * len(rows))))
    draw = np.random.default_rng(seed)
    rows = rows[[*(field.name for field in fields), target.name]]
    before = judged(predictor, rows, target)
    found = np.empty((len(fields), repeats))
    together = max(1, AT_ONCE // (repeats * len(rows)))  # columns; each call of a model costs something by itself
    for start in range(0, len(fields), together):
        run.check()
        part = fields[start : start + together]
        shuffled = pd.concat([_shuffled(rows, field, repeats, draw) for field in part], ignore_index=True)
        losses = judged(predictor, shuffled, target).losses(len(part) * repeats)
        found[start : start + together] = losses.reshape(len(part), repeats) - before.loss
    mean, spread = found.mean(axis=1), found.std(axis=1)
    order = np.argsort(-mean, kind="stable")
    what = "accuracy lost" if target.categories else "rise of the RMSE"
    names, top = [fields[place].name for place in order], order[:SHOWN]
    canvas = Canvas("Permutation importance", 6.6, 1.6 + 0.28 * len(top))
    bars(canvas, names[:SHOWN], mean[top].tolist(), f"{what} when the column is shuffled", spread[top].tolist())
    data = [
        {"column": name, "mean": float(mean[place]), "deviation": float(spread[place])}
        for name, place in zip(names, order, strict=True)
    ]
    return canvas.figure("importance", {"measure": what, "rows": len(rows), "repeats": repeats, "columns": data})


def _shuffled(rows: pd.DataFrame, field: Field, repeats: int, draw: np.random.Generator) -> pd.DataFrame:
    """The rows so many times, each time with this column in another order."""
    import numpy as np

    order = np.concatenate([draw.permutation(len(rows)) for _ in range(repeats)])
    often = rows.take(np.tile(np.arange(len(rows)), repeats)).reset_index(drop=True)
    return often.assign(**{field.name: rows[field.name].take(order).reset_index(drop=True)})
