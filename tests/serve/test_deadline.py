"""Streams end at their deadline, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from craton.core.errors import DeadlineExceeded
from craton.serve.deadline import until

pytestmark = pytest.mark.anyio


class Source:
    """Yields numbers, `pause` seconds apart; remembers that it was closed."""

    def __init__(self, count: int, pause: float) -> None:
        self.count, self.pause, self.closed = count, pause, False

    async def items(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                await asyncio.sleep(self.pause)
                yield number
        finally:
            self.closed = True


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_stream_within_its_deadline_is_untouched() -> None:
    source = Source(5, 0)
    assert [item async for item in until(now() + 60, source.items(), 60)] == [0, 1, 2, 3, 4]
    assert source.closed


async def test_a_stream_that_hangs_is_cut_at_the_deadline_and_closed() -> None:
    source = Source(5, 3600)
    with pytest.raises(DeadlineExceeded) as caught:
        async for _ in until(now() + 0.05, source.items(), 0.05):
            pass
    assert caught.value.seconds == 0.05
    assert source.closed
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_slow_reader_is_cut_as_well() -> None:
    source = Source(5, 0)

    async def read_slowly() -> None:
        async for _ in until(now() + 0.05, source.items(), 0.05):
            await asyncio.sleep(0.1)

    with pytest.raises(DeadlineExceeded):
        await read_slowly()
    assert source.closed


async def test_a_cancelled_reader_is_cancelled_not_timed_out() -> None:
    source = Source(5, 3600)

    async def read() -> None:
        async for _ in until(now() + 60, source.items(), 60):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed
