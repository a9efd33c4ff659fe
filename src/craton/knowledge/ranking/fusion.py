"""Scores of several kinds into one.

Which way is the default was measured (`python -m bench retrieval`): score fusion beats reciprocal ranks on every
collection tried, because how far the first is ahead of the second says more than that it is ahead.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def stretched(scores: Mapping[Key, float], floor: float, least: float = 0.0) -> dict[Key, float]:
    """Scores moved to 0..1: the floor (and what lies below) becomes 0, the best 1.

    least: the smallest distance that counts as the whole range, so that a handful of scores that lie close together are
    not torn apart.
    """
    if not scores:
        return {}
    spread = max(max(scores.values()) - floor, least)
    if spread <= 0:
        return dict.fromkeys(scores, 0.0)
    return {key: min(max((score - floor) / spread, 0.0), 1.0) for key, score in scores.items()}


def weighted(parts: Iterable[tuple[float, Mapping[Key, float]]]) -> dict[Key, float]:
    """The weighted sum of scores; what a part does not have counts 0 there."""
    total: dict[Key, float] = {}
    for weight, scores in parts:
        for key, score in scores.items():
            total[key] = total.get(key, 0.0) + weight * score
    return total
