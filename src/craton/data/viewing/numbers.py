"""Statistics of one column of numbers in bounded memory: the column is read a few times, a batch at a time.

The median is exact: the digits of the middle value are found from the highest 16 bits down (radix selection).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from craton.data.viewing.values import Histogram, Numbers

BINS = 10
DECIMALS = 5
_DIGIT = 16  # bits

Values = npt.NDArray[Any]
Batches = Callable[[], Iterator[tuple[Values, int]]]
"""Each call reads the column anew: (int64 or float64 values without missing ones, how many are missing)."""


@dataclass(slots=True)
class Moments:
    """Count, mean and sum of squared distances, joined batch by batch (Chan, Golub, LeVeque 1979)."""

    missing: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: Any = None
    high: Any = None

    def see(self, values: Values, missing: int) -> None:
        self.missing += missing
        if not len(values):
            return
        low, high, count = values.min(), values.max(), len(values)
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        wide = values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(wide.mean())
            squares = float(((wide - mean) ** 2).sum())
        apart, whole = mean - self.mean, self.count + count
        self.squares += squares + apart * apart * self.count * count / whole
        self.mean += apart * count / whole
        self.count = whole

    @property
    def deviation(self) -> float | None:
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None


def summarise(batches: Batches, *, whole: bool) -> Numbers:
    """whole: the numbers are integers."""
    moments = Moments()
    for values, missing in batches():
        moments.see(values, missing)
    if not moments.count:
        return Numbers(moments.missing)
    low, high = moments.low.item(), moments.high.item()
    edges = _whole_edges(low, high) if whole else _edges(low, high)
    histogram = Histogram(_counts(batches, edges), tuple(edges if whole else map(_rounded, edges)))
    return Numbers(
        missing=moments.missing,
        min=_rounded(low),
        max=_rounded(high),
        mean=_rounded(moments.mean),
        median=_rounded(median(batches, moments.count)),
        std=None if moments.deviation is None else _rounded(moments.deviation),
        histogram=histogram,
    )


def _rounded(value: Any) -> Any:
    return value if isinstance(value, int) or not math.isfinite(value) else round(value, DECIMALS)


def _edges(low: float, high: float) -> list[float]:
    width = (high - low) / BINS
    inner = [low + width * index for index in range(BINS)]
    if not math.isfinite(width) or low == high or len({*inner, high}) <= BINS:
        return [low, high]  # one value, or too near or too far apart for floats between
    return [*inner, high]


def _whole_edges(low: int, high: int) -> list[int]:
    """Steps are whole numbers, so there may be fewer bins."""
    step = -(-(high - low + 1) // BINS)
    return [*range(low, high + 1, step), high]


def _counts(batches: Batches, edges: list[Any]) -> tuple[int, ...]:
    counts = np.zeros(len(edges) - 1, np.int64)
    for values, _ in batches():
        inside = values[np.isfinite(values)]
        inner = np.array(edges[1:-1], dtype=inside.dtype)
        counts += np.bincount(np.searchsorted(inner, inside, side="right"), minlength=len(counts))
    return tuple(counts.tolist())


def median(batches: Batches, count: int) -> float:
    lower = _nth(batches, (count - 1) // 2)
    upper = lower if count % 2 else _nth(batches, count // 2)
    if lower == upper:
        return float(lower)
    return float(lower) / 2 + float(upper) / 2


def _nth(batches: Batches, rank: int) -> float | int:
    """The value that stands at this place (from 0) when all are sorted."""
    prefix, kind = 0, np.dtype(np.float64)
    for shift in range(64 - _DIGIT, -1, -_DIGIT):
        counts = np.zeros(1 << _DIGIT, np.int64)
        for values, _ in batches():
            kind = values.dtype
            keys = _sortable(values)
            if shift < 64 - _DIGIT:
                keys = keys[keys >> np.uint64(shift + _DIGIT) == np.uint64(prefix)]
            digits = (keys >> np.uint64(shift)) & np.uint64((1 << _DIGIT) - 1)
            counts += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT)
        before = np.cumsum(counts)
        digit = int(np.searchsorted(before, rank, side="right"))
        rank -= int(before[digit - 1]) if digit else 0
        prefix = prefix << _DIGIT | digit
    return _original(prefix, kind)


_SIGN = np.uint64(1 << 63)


def _sortable(values: Values) -> npt.NDArray[np.uint64]:
    """Unsigned numbers in the same order."""
    bits = values.view(np.uint64)
    if values.dtype == np.int64:
        return bits ^ _SIGN
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _original(key: int, kind: np.dtype[Any]) -> float | int:
    bits = np.array([key], np.uint64)
    if kind == np.int64:
        return int((bits ^ _SIGN).view(np.int64)[0])
    return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float64)[0])
