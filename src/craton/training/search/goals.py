"""What a search makes best."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.training.specification.suggesting import unknown

SMALL_IS_GOOD = frozenset(
    {"brier", "davies_bouldin", "log_loss", "mae", "mape", "max_error", "median_absolute_error", "rmse"}
)


class Goal(Struct, frozen=True):
    """metric: as it is measured. smallest: less of it is better."""

    metric: str
    smallest: bool

    def __str__(self) -> str:
        return f"{'smallest' if self.smallest else 'largest'} {self.metric}"


def read_goal(text: str, known: Iterable[str], usual: str) -> Goal:
    """text: "roc_auc", "-rmse", or "" for the usual one. Raises InvalidRequest: also for one that would make it
    worse."""
    text = text or usual
    metric, smallest = text.removeprefix("-"), text.startswith("-")
    if metric not in {*known}:
        raise InvalidRequest(unknown("metric", metric, known), "search.metric")
    if smallest != (metric in SMALL_IS_GOOD):
        better = metric if smallest else f"-{metric}"
        way = "large" if smallest else "small"
        raise InvalidRequest(f"{metric} is good when it is {way}: write {better!r}", "search.metric")
    return Goal(metric, smallest)
