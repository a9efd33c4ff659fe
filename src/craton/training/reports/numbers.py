"""A picture of a regression on rows that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from craton.training.protocol import Figure
from craton.training.reports.style import FAINT, Canvas, color

if TYPE_CHECKING:
    from craton.training.reports.judging import Judged

POINTS = 2000


def estimates(found: Judged) -> Figure:
    """Left: what was predicted against what was true, between its bounds. Right: how far off, and which way."""
    import numpy as np

    truth, predicted = found.truth, found.predicted
    kept = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), POINTS)).round().astype(int))
    true, said = truth[kept], predicted[kept]
    errors = predicted - truth
    canvas = Canvas(f"Predictions of {found.target.name}", 9.0, 4.2, panels=2)
    left, right = canvas.panels
    ends = [float(min(true.min(), said.min())), float(max(true.max(), said.max()))]
    left.plot(ends, ends, color=FAINT, linestyle=":", linewidth=1)
    data = {"true": true.tolist(), "predicted": said.tolist()}
    if found.bounds is not None:
        low, high = (bound[kept] for bound in found.bounds)
        left.vlines(true, low, high, color=color(0), alpha=0.15, linewidth=1)
        within = (found.bounds[0] <= truth) & (truth <= found.bounds[1])
        data |= {"lower": low.tolist(), "upper": high.tolist(), "within": float(within.mean())}
    left.scatter(true, said, s=12, alpha=0.55, color=color(0), linewidths=0)
    left.set_xlabel("true")
    left.set_ylabel("predicted")
    right.hist(errors, bins=min(30, max(5, len(errors) // 8)), color=color(0), alpha=0.85)
    right.axvline(0, color=FAINT, linestyle=":", linewidth=1)
    right.set_xlabel("predicted minus true")
    right.set_ylabel("rows")
    return canvas.figure("estimates", {**data, "mean_error": float(errors.mean())})
