"""Bodies of replies whose bytes come from files and from code that blocks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from io import FileIO

BLOCK = 1024 * 1024


class FileBody:
    """`count` bytes of an open file from `start` on; closes it at the end.

    The gateway hands it to a server that sends files by itself (the ASGI extension "zero copy send"); others iterate.
    """

    def __init__(self, file: FileIO, start: int, count: int) -> None:
        self.file, self.start, self.count = file, start, count
        self._position = start

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        wanted = min(BLOCK, self.start + self.count - self._position)
        block = await asyncio.to_thread(os.pread, self.file.fileno(), wanted, self._position) if wanted else b""
        if not block:
            await self.aclose()
            raise StopAsyncIteration
        self._position += len(block)
        return block

    async def aclose(self) -> None:
        self.file.close()


async def pulled(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The blocks, each fetched in a thread while the one before it is being sent."""
    loop = asyncio.get_running_loop()
    coming = loop.run_in_executor(None, next, blocks, b"")
    try:
        while block := await asyncio.shield(coming):
            coming = loop.run_in_executor(None, next, blocks, b"")
            yield block
    finally:
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()
