"""A gate: the comparison that must hold before a model is published."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from craton.core.errors import InvalidRequest

_GATE = re.compile(r"\s*([A-Za-z][\w@.-]*)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class Gate(Struct, frozen=True):
    """metric comparison bound, "roc_auc >= 0.8"."""

    metric: str
    comparison: str
    bound: float

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """A figure that is missing or not finite holds nothing."""
        value = metrics.get(self.metric, math.nan)
        return math.isfinite(value) and _COMPARISONS[self.comparison](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:g}"


def read_gate(text: str) -> Gate | None:
    """None for "". Raises InvalidRequest."""
    if not text.strip():
        return None
    found = _GATE.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text[:100]!r} is no comparison such as 'roc_auc >= 0.8'", "eval.gate")
    return Gate(found[1], found[2], float(found[3]))
