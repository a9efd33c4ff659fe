"""Ends what runs past its deadline: an answer that is awaited, or a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from craton.core.errors import DeadlineExceeded
from craton.core.streams import closing

T = TypeVar("T")


async def by(ends: float, answer: Awaitable[T], seconds: float) -> T:
    """The answer, if it comes before the loop's time `ends`; else DeadlineExceeded(seconds)."""
    try:
        async with asyncio.timeout_at(ends):
            return await answer
    except TimeoutError:
        raise DeadlineExceeded(seconds) from None


async def until(ends: float, items: AsyncIterator[T], seconds: float) -> AsyncIterator[T]:
    """The items, until the loop's time `ends`. Raises DeadlineExceeded(seconds); closes items however it ends.

    One timer for the whole stream: `asyncio.timeout` around every item cost more than all else that is done to it.
    """
    loop = asyncio.get_running_loop()
    watch = _Watch()
    timer = loop.call_at(ends, watch.expire)
    try:
        async with closing(items) as source:
            while True:
                watch.waiting = asyncio.current_task()
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
                except asyncio.CancelledError:
                    if watch.cancelled is None or watch.cancelled.uncancel() > 0:
                        raise  # somebody else cancelled, too
                    raise DeadlineExceeded(seconds) from None
                finally:
                    watch.waiting = None
                if watch.expired:
                    raise DeadlineExceeded(seconds)
                yield item
    finally:
        timer.cancel()


class _Watch:
    """waiting: the task that waits for the next item, while it does. cancelled: the task that `expire` cancelled."""

    def __init__(self) -> None:
        self.expired = False
        self.waiting: asyncio.Task[Any] | None = None
        self.cancelled: asyncio.Task[Any] | None = None

    def expire(self) -> None:
        self.expired = True
        if self.waiting is not None:
            self.cancelled = self.waiting
            self.waiting.cancel()
