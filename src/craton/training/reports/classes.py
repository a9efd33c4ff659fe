"""Pictures of a classifier on rows that it was not trained on: where it errs, how well it ranks, whether its
probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Figure
from craton.training.reports.style import FAINT, INK, Canvas, color, short

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_CLASSES = 30  # in a confusion matrix; the JSON has all
MOST_CURVES = 8
BINS = 10
POINTS = 200  # of a curve


def confusion(truth: Array, predicted: Array, names: Sequence[Any]) -> Figure:
    """truth, predicted: codes. Rows are what was true, shaded by their share of that class."""
    import numpy as np

    counts = np.zeros((len(names), len(names)), np.int64)
    known = (truth >= 0) & (predicted >= 0)
    np.add.at(counts, (truth[known], predicted[known]), 1)
    shown = np.argsort(-counts.sum(axis=1), kind="stable")[:MOST_CLASSES] if len(names) > MOST_CLASSES else None
    part = counts if shown is None else counts[np.ix_(shown, shown)]
    labels = [short(name, 16) for name in (names if shown is None else [names[place] for place in shown])]
    size = min(8.5, 3.2 + 0.3 * len(labels))
    canvas = Canvas("Confusion matrix", size + 0.6, size)
    _cells(canvas, part, labels)
    return canvas.figure("confusion", {"classes": [_plain(name) for name in names], "counts": counts.tolist()})


def _cells(canvas: Canvas, counts: Array, labels: list[str]) -> None:
    import numpy as np

    axes = canvas.axes
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    turned = max(map(len, labels)) * len(labels) > 44
    axes.set_xticks(range(len(labels)), labels, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= 15:
        for row, column in np.ndindex(counts.shape):
            if counts[row, column]:
                paint = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=paint, fontsize=8.5)
    canvas.bar(drawn, "share of the true class")


def roc(truth: Array, probabilities: Array, names: Sequence[Any]) -> Figure | None:
    """One curve for two classes (of the second), else each class against the rest, the largest first. None where only
    one class came."""
    import numpy as np
    from sklearn.metrics import roc_auc_score, roc_curve

    known = truth >= 0
    truth, probabilities = truth[known], probabilities[known]
    places = [1] if len(names) == 2 else [*np.argsort(-np.bincount(truth, minlength=len(names)), kind="stable")]
    curves = []
    for place in places:
        own = truth == place
        if own.any() and not own.all():
            false, true, _ = roc_curve(own, probabilities[:, place])
            curves.append((names[place], float(roc_auc_score(own, probabilities[:, place])), _thin(false, true)))
    if not curves:
        return None
    canvas = Canvas("ROC curve")
    canvas.axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1, label="guessing")
    for at, (name, area, (false, true)) in enumerate(curves[:MOST_CURVES]):
        canvas.axes.plot(false, true, color=color(at), linewidth=1.8, label=f"{short(name)}: area {area:.3f}")
    _unit_square(canvas, "false positive rate", "true positive rate")
    canvas.key(place="lower right")
    data = [{"class": _plain(n), "area": area, "false_positive": f, "true_positive": t} for n, area, (f, t) in curves]
    return canvas.figure("roc", {"curves": data})


def calibration(truth: Array, probabilities: Array, names: Sequence[Any]) -> Figure:
    """What was said against what happened, in bins of equal width: of the second class where there are two, else of the
    class that was predicted (its confidence). Below: how often each was said.

    error: the mean distance, weighted by rows (Naeini, Cooper and Hauskrecht, 2015).
    """
    import numpy as np

    known = truth >= 0
    truth, probabilities = truth[known], probabilities[known]
    if len(names) == 2:
        said, happened, what = probabilities[:, 1], truth == 1, f"probability of {short(names[1])}"
    else:
        chosen = probabilities.argmax(axis=1)
        said, happened, what = probabilities[np.arange(len(truth)), chosen], truth == chosen, "confidence"
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    used = np.flatnonzero(rows)
    mean = np.bincount(bins, said, BINS)[used] / rows[used]
    rate = np.bincount(bins, happened, BINS)[used] / rows[used]
    error = float(np.average(np.abs(mean - rate), weights=rows[used])) if len(used) else 0.0
    canvas = Canvas("Calibration")
    axes = canvas.axes
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1, label="as said")
    shares = rows / max(rows.sum(), 1)
    axes.bar((np.arange(BINS) + 0.5) / BINS, shares, 0.9 / BINS, color="#D9E6F0", label="share of the rows")
    axes.plot(mean, rate, color=color(0), marker="o", markersize=5, linewidth=1.8, label=f"model: error {error:.3f}")
    _unit_square(canvas, what, "how often it was so")
    canvas.key(place="upper left")
    data = {"said": mean.tolist(), "happened": rate.tolist(), "rows": rows[used].tolist(), "error": error}
    return canvas.figure("calibration", {"of": what, **data})


def _unit_square(canvas: Canvas, x: str, y: str) -> None:
    canvas.axes.set_xlim(-0.01, 1.01)
    canvas.axes.set_ylim(-0.01, 1.01)
    canvas.axes.set_xlabel(x)
    canvas.axes.set_ylabel(y)


def _thin(x: Array, y: Array) -> tuple[list[float], list[float]]:
    """At most POINTS of a curve, its ends among them."""
    import numpy as np

    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).round().astype(int))
    return x[kept].tolist(), y[kept].tolist()


def _plain(name: Any) -> Any:
    return name.item() if hasattr(name, "item") else name
