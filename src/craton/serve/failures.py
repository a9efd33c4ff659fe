"""What could not be loaded is not tried again at once: a load is dear, and who asks may ask in a loop."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from craton.core.errors import CratonError
from craton.serve.target import Target

LOAD_FAILURE_MEMORY = 5.0  # seconds in which a model that failed to load is not tried again
REFUSAL_MEMORY = 3600.0
"""Seconds for an adapter that was refused beside others: its revision stays what it is, and a try starts a worker."""
_KEPT = 4096


class _Failure(Struct, frozen=True):
    error: CratonError
    until: float


class Failures:
    """By target."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failed: OrderedDict[str, _Failure] = OrderedDict()

    def check(self, target: Target) -> None:
        """Raises the error that loading ended in not long ago."""
        failure = self._failed.get(target.key)
        if failure is None:
            return
        if self._monotonic() < failure.until:
            raise failure.error
        del self._failed[target.key]

    def add(self, target: Target, error: CratonError, seconds: float = LOAD_FAILURE_MEMORY) -> None:
        self._failed.pop(target.key, None)
        self._failed[target.key] = _Failure(error, self._monotonic() + seconds)
        if len(self._failed) > _KEPT:
            self._failed.popitem(last=False)
