"""One bounded queue for each loaded model: as many at once as its engine runs, then waiting, then refusal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import takewhile

from craton.core.errors import Throttled

RETRY_AFTER = 1.0  # seconds a refused client is told to wait

_Waiter = tuple[str, asyncio.Future[None]]


class Admission:
    """concurrency: how many run at once. waiting: how many may wait (first in, first out).

    Requests of different kinds (for different adapters in one worker) take turns: llama.cpp works on one adapter at a
    time, and lets the others wait until it is done. When a turn ends, the next belongs to who has waited longest, and
    to all that wait for the same; who comes later queues behind them, so no adapter waits longer than one turn of each
    other.
    """

    def __init__(self, concurrency: int, waiting: int) -> None:
        self._waiting_limit = waiting
        self._queue: deque[_Waiter] = deque()
        self._kind = ""  # whose turn it is, while something runs
        self.concurrency = concurrency
        self.running = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def of(self, kind: str) -> tuple[int, int]:
        """How many of this kind run, and how many wait."""
        return self.running if kind == self._kind else 0, sum(1 for other, _ in self._queue if other == kind)

    @asynccontextmanager
    async def slot(self, ends: float, kind: str = "") -> AsyncIterator[None]:
        """A place to run; given back however the block ends.

        Raises Throttled when the queue is full, or when no place came free before the loop's time `ends`.
        """
        if self._queue or not self._fits(kind):
            await self._wait(ends, kind)
        else:
            self._enter(kind)
        try:
            yield
        finally:
            self.running -= 1
            self._let_in()

    def _fits(self, kind: str) -> bool:
        return not self.running or (kind == self._kind and self.running < self.concurrency)

    def _enter(self, kind: str) -> None:
        self._kind = kind
        self.running += 1

    async def _wait(self, ends: float, kind: str) -> None:
        if len(self._queue) >= self._waiting_limit:
            raise Throttled(
                f"{self.running} requests are running and {self.waiting} are waiting for this model; "
                "the queue is full.",
                RETRY_AFTER,
            )
        waiter: _Waiter = (kind, asyncio.get_running_loop().create_future())
        self._queue.append(waiter)
        try:
            async with asyncio.timeout_at(ends):
                await waiter[1]
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise Throttled("No place came free for this request before its deadline.", RETRY_AFTER) from None
            raise

    def _leave(self, waiter: _Waiter) -> None:
        """Of one that was let in and left at the same moment, the place goes on."""
        if waiter in self._queue:
            self._queue.remove(waiter)
        elif waiter[1].done() and not waiter[1].cancelled():
            self.running -= 1
        self._let_in()

    def _let_in(self) -> None:
        """Begins the next turn when nothing runs any more; goes on with this one while nobody else waits."""
        waiting = [waiter for waiter in self._queue if not waiter[1].done()]  # without those who are leaving
        if not waiting:
            return
        if not self.running:
            turn = [waiter for waiter in waiting if waiter[0] == waiting[0][0]]
        else:
            turn = list(takewhile(lambda waiter: waiter[0] == self._kind, waiting))
        for waiter in turn[: self.concurrency - self.running]:
            self._queue.remove(waiter)
            self._enter(waiter[0])
            waiter[1].set_result(None)
