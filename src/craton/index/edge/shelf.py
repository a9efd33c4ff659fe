"""The open shards of an index process: at most so many, the longest unused closed first."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from craton.core.errors import Conflict, CratonError, Damaged
from craton.index.edge.files import fsync_folder
from craton.index.edge.optimising import optimise
from craton.index.edge.settings import EdgeSettings
from craton.index.edge.shard import Shard
from craton.index.protocol import Found, IndexSpec, Point, Search

SLICE = 32  # points written between two searches
ROUND_SECONDS = 0.5
LOCK_SECONDS = 3.0
RETRY_SECONDS = 600.0  # after optimising by itself failed

log = logging.getLogger(__name__)


class Shelf:
    """The only owner of a folder: a second one is refused. One asyncio loop; searches run between slices of writes."""

    def __init__(self, folder: Path, settings: EdgeSettings) -> None:
        """Raises Conflict when another process has the folder."""
        self._folder, self._settings = folder, settings
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        _take(self._lock)
        self._shards: dict[IndexSpec, Shard] = {}  # the least recently used first
        self._writing: dict[IndexSpec, asyncio.Lock] = {}
        self._optimising: dict[IndexSpec, asyncio.Task[None]] = {}
        self._not_before: dict[IndexSpec, float] = {}

    def open(self, spec: IndexSpec) -> Shard:
        """Makes it when it is not there."""
        shard = self._shards.pop(spec, None)
        if shard is None:
            self._make_room()
            shard = Shard.open(self._path(spec), spec, self._settings)
        self._shards[spec] = shard
        return shard

    def _opened(self, spec: IndexSpec) -> Shard:
        """One that was made before. Raises Damaged when its files are gone: an empty one in its place would pass for
        the whole."""
        if spec not in self._shards and not self._path(spec).exists():
            raise Damaged("the index", "its files are gone")
        return self.open(spec)

    async def upsert(self, spec: IndexSpec, points: tuple[Point, ...]) -> None:
        await self._sliced(spec, len(points), lambda shard, begin, end: shard.upsert(points[begin:end]))

    async def delete(self, spec: IndexSpec, ids: tuple[int, ...]) -> None:
        await self._sliced(spec, len(ids), lambda shard, begin, end: shard.delete(ids[begin:end]))

    async def _sliced(self, spec: IndexSpec, count: int, write: Callable[[Shard, int, int], None]) -> None:
        async with self._writer(spec):
            for begin in range(0, count, SLICE):
                self._trusted(spec, lambda shard, at=begin: write(shard, at, at + SLICE))  # type: ignore[misc]
                await asyncio.sleep(0)

    def search(self, spec: IndexSpec, search: Search) -> Found:
        found: list[Found] = []
        self._trusted(spec, lambda shard: found.append(shard.search(search)))
        return found[0]

    def count(self, spec: IndexSpec) -> int:
        counts: list[int] = []
        self._trusted(spec, lambda shard: counts.append(shard.count()))
        return counts[0]

    async def optimise(self, spec: IndexSpec) -> None:
        """Joins the one under way."""
        task = self._optimising.get(spec)
        if task is None:
            task = self._begin_optimising(spec)
        await asyncio.shield(task)

    async def drop(self, spec: IndexSpec) -> None:
        if task := self._optimising.get(spec):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with self._writer(spec):
            shard = self._shards.pop(spec, None)
            if shard is not None:
                with suppress(Damaged):
                    shard.close()
            path = self._path(spec)
            if not path.exists():
                return
            gone = path.with_name(f"{path.name}.gone")  # half removed under its own name, it would look damaged
            shutil.rmtree(gone, ignore_errors=True)
            path.rename(gone)
            fsync_folder(path.parent)
            await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        self._writing.pop(spec, None)

    async def keep_house(self) -> None:
        """For ever: forces writes to the disk when they pause, and optimises what has grown."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            for spec, shard in list(self._shards.items()):
                quiet = time.monotonic() - shard.written > self._settings.quiet_seconds
                if spec in self._optimising:
                    continue
                if self._has_grown(shard, quiet) and time.monotonic() > self._not_before.get(spec, 0.0):
                    self._begin_optimising(spec).add_done_callback(partial(self._tried, spec))
                elif quiet and shard.unflushed and not self._writer(spec).locked():
                    with suppress(CratonError):
                        self._trusted(spec, Shard.flush)

    async def close(self) -> None:
        for task in list(self._optimising.values()):
            task.cancel()
        await asyncio.gather(*self._optimising.values(), return_exceptions=True)
        for shard in self._shards.values():
            with suppress(CratonError):
                shard.close()
        self._shards.clear()
        os.close(self._lock)

    def _has_grown(self, shard: Shard, quiet: bool) -> bool:
        grown, built = shard.unoptimised, shard.current.built
        return grown >= self._settings.optimise_after and grown >= (built // 2 if quiet else built)

    def _begin_optimising(self, spec: IndexSpec) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._optimise(self._opened(spec), spec))
        self._optimising[spec] = task
        task.add_done_callback(lambda _task: self._optimising.pop(spec, None))
        return task

    def _optimise(self, shard: Shard, spec: IndexSpec) -> Awaitable[None]:
        return optimise(shard, self._writer(spec))

    def _tried(self, spec: IndexSpec, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._not_before[spec] = time.monotonic() + RETRY_SECONDS
            log.warning("an index could not be optimised: %s", error, exc_info=error)

    def _trusted(self, spec: IndexSpec, use: Callable[[Shard], None]) -> None:
        """A shard that failed once is not used again before it was opened anew."""
        shard = self._opened(spec)
        try:
            use(shard)
        except Damaged:
            if spec not in self._optimising:
                self._shards.pop(spec, None)
                with suppress(Damaged):
                    shard.close()
            raise

    def _writer(self, spec: IndexSpec) -> asyncio.Lock:
        return self._writing.setdefault(spec, asyncio.Lock())

    def _make_room(self) -> None:
        for spec, shard in list(self._shards.items()):
            if len(self._shards) < self._settings.open_shards:
                return
            if spec not in self._optimising and not self._writer(spec).locked():
                del self._shards[spec]
                self._writing.pop(spec, None)
                with suppress(CratonError):
                    shard.close()

    def _path(self, spec: IndexSpec) -> Path:
        """Tenants' names are anything; a folder's name is not."""
        return self._folder / hashlib.sha256(spec.tenant.encode()).hexdigest()[:32] / spec.name


def _take(lock: int) -> None:
    """The process of a server that was just killed may still be ending: waits a little for it."""
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > give_up:
                raise Conflict("index folder", "", "another process uses it") from None
            time.sleep(0.05)
        else:
            return
