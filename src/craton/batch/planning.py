"""Which objects a batch reads, and how many records each has: counted once, before the first is asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from itertools import accumulate

from msgspec import Struct

from craton.batch.answering import ChangedInput
from craton.batch.lines import Line, lines
from craton.batch.values import Objects
from craton.buckets.buckets import Buckets
from craton.core.errors import NotFound, TooLarge
from craton.core.streams import closing

MAX_INPUTS = 10_000
SUFFIX = ".jsonl"


class Input(Struct, frozen=True):
    """name: its key without what all inputs have in common. etag: of the bytes that were counted."""

    key: str
    name: str
    etag: str
    records: int


class Plan(Struct, frozen=True):
    inputs: tuple[Input, ...]

    @property
    def starts(self) -> list[int]:
        """The number of each input's first record; at the end, how many there are."""
        return list(accumulate((one.records for one in self.inputs), initial=0))


def input_of(starts: list[int], number: int) -> int:
    """Which input a record belongs to."""
    return bisect_right(starts, number) - 1


class Inputs:
    """The records of one batch, as they stand in its bucket."""

    def __init__(self, buckets: Buckets, tenant: str, place: Objects) -> None:
        self._buckets, self._tenant, self._place = buckets, tenant, place

    async def plan(self, check: Callable[[], None]) -> Plan:
        """check: called between blocks. Raises NotFound, TooLarge."""
        found = []
        for key in await self._keys():
            opened, count = await self._open(key), 0
            async for _ in self._lines(opened, check):
                count += 1
            found.append(Input(key, self._name(key), opened.etag, count))
        return Plan(tuple(found))

    async def read(self, one: Input, check: Callable[[], None]) -> AsyncIterator[Line]:
        """Raises ChangedInput."""
        try:
            opened = await self._open(one.key)
        except NotFound:
            raise ChangedInput(self._uri(one.key)) from None
        if opened.etag != one.etag:
            await opened.close()
            raise ChangedInput(self._uri(one.key))
        async for line in self._lines(opened, check):
            yield line

    async def _keys(self) -> list[str]:
        """The object of that name, or else all JSONL files whose keys begin so."""
        bucket, key = self._place.bucket, self._place.key
        store = await self._buckets.store(self._tenant, bucket)
        if key and not key.endswith("/"):
            try:
                await store.stat(key)
                return [key]
            except NotFound:
                pass
        folder = f"{key}/" if key and not key.endswith("/") else key
        keys = []
        async for info in store.objects(folder):
            if info.key.endswith(SUFFIX):
                keys.append(info.key)
            if len(keys) > MAX_INPUTS:
                raise TooLarge("The inputs of a batch", MAX_INPUTS, unit="objects")
        if not keys:
            raise NotFound("object", self._uri(f"{folder}*{SUFFIX}"), "Upload records as JSON lines.")
        return keys

    def _name(self, key: str) -> str:
        whole = self._place.key
        return key.rpartition("/")[2] if key == whole else key.removeprefix(whole.rstrip("/")).lstrip("/")

    def _uri(self, key: str) -> str:
        return f"s3://{self._place.bucket}/{key}"

    async def _open(self, key: str) -> _Opened:
        opened = await (await self._buckets.store(self._tenant, self._place.bucket)).open(key)
        return _Opened(opened.stored.info.etag, opened.body)

    async def _lines(self, opened: _Opened, check: Callable[[], None]) -> AsyncIterator[Line]:
        async def blocks() -> AsyncIterator[bytes]:
            async for block in opened.body:
                check()
                yield block

        async with closing(opened.body), closing(blocks()) as checked, closing(lines(checked)) as found:
            async for line in found:
                yield line


class _Opened(Struct, frozen=True):
    etag: str
    body: AsyncIterator[bytes]

    async def close(self) -> None:
        async with closing(self.body):
            pass
