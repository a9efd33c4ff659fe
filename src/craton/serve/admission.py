"""One bounded queue for each loaded model: as many at once as its engine runs, then waiting, then refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from craton.core.errors import Throttled

RETRY_AFTER = 1.0  # seconds a refused client is told to wait


class Admission:
    """concurrency: how many run at once. waiting: how many may wait (first in, first out)."""

    def __init__(self, concurrency: int, waiting: int) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._waiting_limit = waiting
        self.concurrency = concurrency
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def slot(self, ends: float) -> AsyncIterator[None]:
        """A place to run; given back however the block ends.

        Raises Throttled when the queue is full, or when no place came free before the loop's time `ends`.
        """
        if self._slots.locked():
            if self.waiting >= self._waiting_limit:
                raise Throttled(
                    f"{self.running} requests are running and {self.waiting} are waiting for this model; "
                    "the queue is full.",
                    RETRY_AFTER,
                )
            self.waiting += 1
            try:
                async with asyncio.timeout_at(ends):
                    await self._slots.acquire()
            except TimeoutError:
                raise Throttled("No place came free for this request before its deadline.", RETRY_AFTER) from None
            finally:
                self.waiting -= 1
        else:
            await self._slots.acquire()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._slots.release()
