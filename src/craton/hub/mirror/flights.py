"""Files on their way in: one download of each, however many wait for it.

What has come lies in a partial file that outlives a break and the process. It is read from while it grows; the end of
it is held back until the whole was verified, so that nobody takes wrong bytes for a whole file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from craton.core.errors import CratonError, Damaged, SourceFailed, StorageFull
from craton.core.repo import RepoId
from craton.hub.files import StoredFile
from craton.hub.mirror.origin import Origin
from craton.hub.mirror.partial import BLOCK, Partial
from craton.hub.mirror.words import RemoteFile, Watch
from craton.store.files import FULL

TAIL = 1024 * 1024  # bytes that are held back until the file is verified
ATTEMPTS = 5  # breaks in a row without a byte between them
FIRST = 2  # of them before anything has come: whoever waits for a first byte waits for an answer
LINGER = 60.0  # seconds that a download goes on when nobody waits for it any more
AT_ONCE = 16  # downloads of large files, and of small ones: these do not wait for those
_FLUSH = 0.2  # seconds that bytes may wait for a whole block
KEPT = 7 * 24 * 3600.0  # seconds that a partial file waits for its rest

Keep = Callable[[str, RemoteFile, Path], StoredFile]
"""Stores the verified file for an owner."""


class Wanted(Struct, frozen=True):
    """A file of a commit. repo: as upstream calls it."""

    owner: str
    repo: RepoId
    commit: str
    file: RemoteFile

    @property
    def key(self) -> str:
        """The same bytes of the same upstream, wherever they are listed."""
        return hashlib.sha256(f"{self.owner}\0{self.file.sha256 or self.file.git_oid}".encode()).hexdigest()


class _Abandoned(CratonError):
    """Nobody waited for the rest."""


class Flights:
    """folder: of the partial files. pause: seconds to wait after the nth break in a row."""

    def __init__(
        self,
        folder: Path,
        keep: Keep,
        watch: Watch,
        pause: Callable[[int], float] = lambda attempt: 0.25 * 2**attempt,
    ) -> None:
        self._folder, self._keep, self._watch, self._pause = folder, keep, watch, pause
        self._flying: dict[str, Flight] = {}
        self._for_small, self._for_large = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)

    def board(self, origin: Origin, wanted: Wanted) -> Flight:
        """The download of this file: the one that is under way, or a new one."""
        flight = self._flying.get(wanted.key)
        if flight is None:
            partial = self._folder / wanted.key
            places = self._for_small if wanted.file.sha256 is None else self._for_large
            flight = Flight(origin, wanted, partial, self._keep, self._watch, self._pause, places)
            self._flying[wanted.key] = flight
            flight.start(lambda: self._flying.pop(wanted.key, None))
        return flight

    def has(self, wanted: Wanted) -> bool:
        """Whether the download is under way."""
        return wanted.key in self._flying

    def sweep(self, now: float) -> None:
        """Removes what was given up long ago. Blocking."""
        with suppress(FileNotFoundError):
            for partial in self._folder.iterdir():
                with suppress(FileNotFoundError):
                    if partial.stat().st_mtime < now - KEPT:
                        partial.unlink()

    async def close(self) -> None:
        """Stops all; what has come stays."""
        flying = list(self._flying.values())
        for flight in flying:
            await flight.stop()


class Flight:
    """One download. `read` and `stored` are for any number of waiting tasks."""

    def __init__(
        self,
        origin: Origin,
        wanted: Wanted,
        partial: Path,
        keep: Keep,
        watch: Watch,
        pause: Callable[[int], float],
        places: asyncio.Semaphore,
    ) -> None:
        self._origin, self._wanted, self._keep = origin, wanted, keep
        self._watch, self._pause, self._places = watch, pause, places
        self._size = wanted.file.size
        self._incoming = Partial(partial, wanted.file)
        self._have, self._verified = 0, False
        self._stored: StoredFile | None = None
        self._error: CratonError | None = None
        self._news = asyncio.Event()
        self._riders, self._left = 0, time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self, landed: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._fly(landed))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def stored(self) -> StoredFile:
        """Waits until the file is here for good. Raises what became of the download otherwise."""
        with self._riding():
            while self._stored is None:
                await self._wait()
            return self._stored

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """These bytes, as they come."""
        with self._riding():
            while not self._incoming.is_open:
                await self._wait()
            with self._incoming.reading() as handle:
                while start < end:
                    ready = min(self._ready(), end)
                    if ready <= start:
                        await self._wait()
                        continue
                    piece = await asyncio.to_thread(os.pread, handle, min(BLOCK, ready - start), start)
                    if piece:
                        start += len(piece)
                        yield piece

    def _ready(self) -> int:
        return self._size if self._verified else max(0, min(self._have, self._size - TAIL))

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        await self._news.wait()

    @contextmanager
    def _riding(self) -> Iterator[None]:
        self._riders += 1
        try:
            yield
        finally:
            self._riders -= 1
            self._left = time.monotonic()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _fly(self, landed: Callable[[], object]) -> None:
        try:
            async with self._places:
                self._have = await asyncio.to_thread(self._incoming.open)
                self._watch.arrived(self._have)
                self._tell()
                await self._download()
                await asyncio.to_thread(self._incoming.verify)
                self._verified = True
                self._tell()
                self._stored = await asyncio.to_thread(
                    self._keep, self._wanted.owner, self._wanted.file, self._incoming.path
                )
                await asyncio.to_thread(self._incoming.remove)
        except CratonError as error:
            self._error = error
        except OSError as error:
            self._error = StorageFull() if error.errno in FULL else StorageFull("The disk cannot be written.")
        except asyncio.CancelledError:
            self._error = self._origin.failed("the server is stopping")
            raise
        except Exception:
            self._error = self._origin.failed("the download failed")
            raise
        finally:
            landed()
            self._incoming.close()
            self._tell()

    async def _download(self) -> None:
        begun, broken = self._have, 0
        while self._have < self._size:
            before = self._have
            try:
                await self._continue()
            except SourceFailed:
                broken = 1 if self._have > before else broken + 1
                if broken >= (FIRST if self._have == begun else ATTEMPTS):
                    raise
                await asyncio.sleep(self._pause(broken))

    async def _continue(self) -> None:
        wanted = self._wanted
        async with self._origin.read(wanted.repo, wanted.commit, wanted.file.path, self._have) as (begin, chunks):
            if begin != self._have:
                await asyncio.to_thread(self._incoming.restart)
                self._watch.arrived(-self._have)
                self._have = 0
            async for block in _gathered(chunks):
                if self._have + len(block) > self._size:
                    await asyncio.to_thread(self._incoming.remove)
                    raise Damaged(wanted.file.path, f"upstream's is longer than its {self._size:,} bytes")
                await asyncio.to_thread(self._incoming.write, block)
                self._have += len(block)
                self._watch.arrived(len(block))
                self._tell()
                if not self._riders and time.monotonic() - self._left > LINGER:
                    raise _Abandoned
        if self._have < self._size:
            raise self._origin.failed("an answer ended early")


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Blocks, or what has come in a while: what waits is lost in a break."""
    waiting, size, since = [], 0, time.monotonic()
    try:
        async for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= BLOCK or time.monotonic() - since > _FLUSH:
                block, waiting, size, since = b"".join(waiting), [], 0, time.monotonic()
                yield block
    except Exception:
        if waiting:
            yield b"".join(waiting)
        raise
    if waiting:
        yield b"".join(waiting)
