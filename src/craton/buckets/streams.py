"""Files that are written whole or not at all, and files as streams of bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from craton.buckets.digests import Digests
from craton.buckets.threads import settled
from craton.core.errors import Conflict, StorageFull
from craton.store.files import FULL, Files, make_folders

BLOCK = 1024 * 1024  # bytes that are read at once


class Writer:
    """A temporary file that is being filled. Blocking."""

    def __init__(self, files: Files, folder: Path, digests: Digests) -> None:
        self._files, self.digests = files, digests
        self.path = folder / token_hex(16)
        self._kept = False
        with storing(""):
            make_folders(files, folder)
            self._handle: int | None = files.create(self.path)

    def write(self, block: bytes) -> None:
        assert self._handle is not None
        self.digests.update(block)
        with storing(""):
            self._files.write(self._handle, block)

    def finish(self) -> None:
        """On the medium when this returns."""
        assert self._handle is not None
        with storing(""):
            self._files.sync(self._handle)

    def seen(self) -> os.stat_result:
        assert self._handle is not None
        return os.fstat(self._handle)

    def keep(self) -> None:
        """The file stays under this name."""
        self._kept = True

    def discard(self) -> None:
        """Closes it. The name goes, unless the file was renamed or is kept."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                self._files.close(handle)
            if not self._kept:
                with suppress(OSError):
                    self._files.unlink(self.path)


async def fill(writer: Writer, blocks: AsyncIterator[bytes]) -> None:
    """Writes block after block; while one is hashed and written, the next is received. At most two are held."""
    writing: asyncio.Future[None] | None = None
    try:
        async for block in blocks:
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(settled(writer.write, block))
    finally:
        if writing is not None:
            await writing  # nobody may discard the writer while a thread is at it


class FileBody:
    """The bytes from start to end, read in threads. Closes the file at the end, or when it is closed."""

    def __init__(self, handle: int, start: int, end: int) -> None:
        self._handle: int | None = handle
        self._position, self._end = start, end

    def __aiter__(self) -> FileBody:
        return self

    async def __anext__(self) -> bytes:
        if self._handle is None or self._position >= self._end:
            await self.aclose()
            raise StopAsyncIteration
        size = min(BLOCK, self._end - self._position)
        data = await settled(os.pread, self._handle, size, self._position)
        if not data:  # somebody else cut the file short: the promised length cannot be kept
            raise OSError("the file became shorter while it was read")
        self._position += len(data)
        return data

    async def aclose(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)


@contextmanager
def storing(key: str) -> Iterator[None]:
    """Words what the file system refuses."""
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise Conflict(
            "object", key, "in a folder, one key cannot be an object and also the beginning, up to a slash, of others."
        ) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageFull() if error.errno in FULL else StorageFull("The bucket's folder cannot be written.") from error
