"""A body's bytes for code that blocks: it pulls blocks in a thread while they arrive on the event loop.

The threads are the feeder's own: whoever sends slowly keeps one of them waiting, and none of those that serve all the
rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from craton.core.errors import DeadlineExceeded

T = TypeVar("T")
BLOCK = 1024 * 1024  # bytes that are handed over at once
AHEAD = 2  # blocks that may wait
PATIENCE = 60.0  # seconds without a block


class Feeder:
    """threads: how many bodies are taken in at once; others wait unread."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def feed(self, pieces: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], T]) -> T:
        """What `work` makes of the blocks. What either side raises ends the other."""
        feed = _Feed(asyncio.get_running_loop())
        working = asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(feed.blocks()))
        try:
            async for block in _gathered(pieces):
                if not await feed.put(block, working):
                    break
            feed.end(whole=True)
        except BaseException:
            feed.end(whole=False)
            await asyncio.wait([working])
            working.exception()  # taken note of: it is a consequence
            raise
        return await working

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class _CutShort(Exception):
    """The body will not come to its end."""


class _Feed:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._room = loop, asyncio.Semaphore(AHEAD)
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._whole = False

    async def put(self, block: bytes, working: asyncio.Future[T]) -> bool:
        """Waits until there is room. False when nobody takes blocks any more."""
        room = asyncio.ensure_future(self._room.acquire())
        either: list[asyncio.Future[Any]] = [room, working]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not room.done():
                room.cancel()
        if working.done():
            return False
        self._queue.put(block)
        return True

    def end(self, *, whole: bool) -> None:
        self._whole = whole
        self._queue.put(None)

    def blocks(self) -> Iterator[bytes]:
        """In the thread."""
        while True:
            try:
                block = self._queue.get(timeout=PATIENCE)
            except Empty:
                raise DeadlineExceeded(PATIENCE) from None
            if block is None:
                break
            self._loop.call_soon_threadsafe(self._room.release)
            yield block
        if not self._whole:
            raise _CutShort


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
