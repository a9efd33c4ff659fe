"""Which samples make a step: in an order that a seed gives, several in one sequence where packing is wanted.

Packing: samples fill sequences best-fit, longest first (Ding et al., "Fewer truncations improve language modeling",
2024, arXiv 2404.10830), within windows of the shuffled order, so that a million of them are planned in little memory.
No sample sees another: each is attended to by itself, and counts its positions from 0 (`attention`).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from craton.training.tuning.corpus import Numbers

WINDOW = 1024  # samples that are fitted together

Sequence = list[int]
"""Numbers of samples that share a sequence."""


def plan(lengths: Numbers, length: int, seed: int, epoch: int, *, packing: bool) -> list[Sequence]:
    """The sequences of an epoch, in their order."""
    import numpy as np

    order = np.random.default_rng((seed, epoch)).permutation(len(lengths))
    if not packing:
        return [[int(number)] for number in order]
    found: list[Sequence] = []
    for start in range(0, len(order), WINDOW):
        packed = pack([int(number) for number in order[start : start + WINDOW]], lengths, length)
        shuffled = np.random.default_rng((seed, epoch, start)).permutation(len(packed))
        found += [packed[place] for place in shuffled]
    return found


def pack(numbers: list[int], lengths: Numbers, length: int) -> list[Sequence]:
    """Best fit, longest first."""
    spaces: list[tuple[int, int]] = []  # what is free in a sequence, and which one it is; ascending
    found: list[Sequence] = []
    for number in sorted(numbers, key=lambda number: (-int(lengths[number]), number)):
        size = int(lengths[number])
        place = bisect_left(spaces, (size, -1))
        if place < len(spaces):
            free, sequence = spaces.pop(place)
        else:
            free, sequence = length, len(found)
            found.append([])
        found[sequence].append(number)
        left = (free - size, sequence)
        spaces.insert(bisect_left(spaces, left), left)
    return found
