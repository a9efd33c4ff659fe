"""Each file of a dataset as Parquet: the file itself when it is that, else its copy, made once whoever asks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from craton.core.errors import CratonError, Damaged, StorageFull, Throttled, TooLarge, Unsupported
from craton.data.viewing.frames import Convert, Describe, Source
from craton.data.viewing.pool import TablePool
from craton.data.viewing.shelf import Shelf, key_of
from craton.data.viewing.values import DataFile, Described

T = TypeVar("T")

PARQUET, DESCRIBED = "parquet", "described"
PATIENCE = 20.0  # seconds that a caller waits; the work goes on
_REMEMBERED = 20_000
_LASTING = (Damaged, TooLarge, Unsupported)  # what trying again does not change


class Copied(Struct, frozen=True):
    """A Parquet file on this machine. key: names it among the tenant's copies."""

    path: Path
    key: str
    described: Described


class Memory(Generic[T]):
    """The last few thousand values."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._values: OrderedDict[str, T] = OrderedDict()
        self._most = most

    def get(self, key: str) -> T | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)


class Once(Generic[T]):
    """Work that several may wait for: done once at a time for each key, and to its end though a caller leaves."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[T]] = {}
        self._failed = Memory[CratonError]()

    async def do(self, key: str, what: str, work: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
        """Raises Throttled, with what is being done, when it takes longer than a caller waits."""
        failed = self._failed.get(key)
        if failed is not None:
            raise failed.with_traceback(None)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._work(key, work))
        try:
            return await asyncio.wait_for(asyncio.shield(task), patience)
        except TimeoutError:
            raise Throttled(f"{what}; ask again in a moment.", 5.0) from None

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _work(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except _LASTING as error:
            self._failed.put(key, error)
            raise
        finally:
            del self._running[key]


class Copies:
    """locate: the path of a blob on this machine (blocks); pool: for work that takes its time."""

    def __init__(self, shelf: Shelf, pool: TablePool, quick: TablePool, locate: Callable[[str], Path]) -> None:
        self._shelf, self._pool, self._quick, self._locate = shelf, pool, quick, locate
        self._described = Memory[Described]()
        self._once = Once[Path]()

    async def source(self, file: DataFile) -> Source:
        path = await asyncio.to_thread(self._locate, file.digest)
        return Source(str(path), file.path, file.format, file.packing, file.options)

    async def parquet(self, tenant: str, file: DataFile, patience: float = PATIENCE) -> Copied:
        """Raises Throttled while it is being made."""
        options = f"{file.options.separator}\0{file.options.field}"
        key = key_of(tenant, file.digest, file.format, file.packing, options)
        if file.format == "parquet":
            path: Path | None = await asyncio.to_thread(self._locate, file.digest)
        else:
            path = await asyncio.to_thread(self._shelf.find, key, PARQUET)
        if path is None:
            what = f"{file.path!r} is being made ready"
            path = await self._once.do(key, what, lambda: self._convert(key, file), patience)
        return Copied(path, key, await self._describe(key, path, file))

    async def close(self) -> None:
        await self._once.close()

    async def _describe(self, key: str, path: Path, file: DataFile) -> Described:
        """Read in a child once, and kept beside the copy: a job's process need not start a child for it."""
        described = self._described.get(key)
        if described is None:
            kept = await asyncio.to_thread(self._shelf.read_bytes, key, DESCRIBED)
            if kept is not None:
                described = msgspec.msgpack.decode(kept, type=Described)
                self._described.put(key, described)
            else:
                described = await self._quick.run(Describe(str(path), file.path), Described)
                await self._keep(key, described)
        return described

    async def _keep(self, key: str, described: Described) -> None:
        self._described.put(key, described)
        with suppress(StorageFull):  # then the next process reads it again
            await asyncio.to_thread(self._shelf.put_bytes, msgspec.msgpack.encode(described), key, DESCRIBED)

    async def _convert(self, key: str, file: DataFile) -> Path:
        source = await self.source(file)
        temporary = await asyncio.to_thread(self._shelf.temporary)
        try:
            described = await self._pool.run(Convert(source, str(temporary)), Described)
            await self._keep(key, described)
            return await asyncio.to_thread(self._shelf.put, temporary, key, PARQUET)
        except OSError:
            raise StorageFull() from None
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)
