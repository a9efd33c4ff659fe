"""How the learning rate changes: a rise from nothing, then as the schedule says (Loshchilov and Hutter, "SGDR", 2016,
arXiv 1608.03983, for the cosine)."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "linear"]


def factor(schedule: Schedule, step: int, total: int, warmup: float) -> float:
    """Of the largest rate, for the update after `step` others; warmup: the share of all updates that rise;
    from 1 on how many."""
    rising = math.ceil(warmup * total) if warmup < 1 else min(total, round(warmup))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, total - rising)
    if schedule == "constant":
        return 1.0
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
