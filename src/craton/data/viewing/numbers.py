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
_HELD = 4_000_000  # values that are kept between passes

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
    batches, moments = _held(batches), Moments()
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


def _held(batches: Batches) -> Batches:
    """The same, kept after the first time if the column is short enough."""
    kept: list[tuple[Values, int]] = []
    whole = False

    def again() -> Iterator[tuple[Values, int]]:
        nonlocal whole
        if whole:
            yield from kept
            return
        room = _HELD
        for values, missing in batches():
            room -= len(values)
            if room >= 0:
                kept.append((values, missing))
            elif kept:
                kept.clear()
            yield values, missing
        whole = room >= 0

    return again


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
    """Both middle values are looked for in the same passes."""
    lower, upper = _nths(batches, [(count - 1) // 2, count // 2])
    return float(lower) if lower == upper else float(lower) / 2 + float(upper) / 2


def _nths(batches: Batches, ranks: list[int]) -> list[float | int]:
    """The values that stand at these places (from 0) when all are sorted."""
    prefixes, kind = [0] * len(ranks), np.dtype(np.float64)
    for shift in range(64 - _DIGIT, -1, -_DIGIT):
        counts = {prefix: np.zeros(1 << _DIGIT, np.int64) for prefix in prefixes}
        for values, _ in batches():
            kind = values.dtype
            keys = _sortable(values)
            above = keys >> np.uint64(shift + _DIGIT) if shift < 64 - _DIGIT else np.zeros_like(keys)
            for prefix in counts:
                digits = (keys[above == np.uint64(prefix)] >> np.uint64(shift)) & np.uint64((1 << _DIGIT) - 1)
                counts[prefix] += np.bincount(digits.astype(np.int64), minlength=1 << _DIGIT)
        for index, prefix in enumerate(prefixes):
            before = np.cumsum(counts[prefix])
            digit = int(np.searchsorted(before, ranks[index], side="right"))
            ranks[index] -= int(before[digit - 1]) if digit else 0
            prefixes[index] = prefix << _DIGIT | digit
    return [_original(prefix, kind) for prefix in prefixes]


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
