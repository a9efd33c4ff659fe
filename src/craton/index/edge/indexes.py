"""EdgeIndexes: the embedded indexes as the server sees them. Importing this imports no index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from craton.children.frames import MAX_FRAME
from craton.core.errors import Damaged, Throttled
from craton.index.checks import check_ids, check_points, check_search, check_spec
from craton.index.edge.frames import (
    Answer,
    Count,
    Delete,
    Done,
    Drop,
    Look,
    Open,
    Optimise,
    Request,
    Seen,
    Upsert,
)
from craton.index.edge.life import Gone, Life
from craton.index.edge.settings import EdgeSettings
from craton.index.protocol import Found, IndexSpec, Point, Search

WRITE_ATTEMPTS = 3
SEARCH_ATTEMPTS = 2
BATCH_POINTS = 512
BATCH_BYTES = MAX_FRAME // 8  # of vectors and texts, roughly: metadata comes on top

log = logging.getLogger(__name__)


class EdgeIndexes:
    """`Indexes` in one folder. Its process is started when it is first needed, and again when it died.

    Writes under way when it dies are made again: they can be repeated. When it dies each time, the index is Damaged.
    """

    def __init__(self, folder: Path, settings: EdgeSettings | None = None) -> None:
        self._folder, self._settings = folder, settings or EdgeSettings()
        self._life: Life | None = None
        self._starting = asyncio.Lock()
        self._open: dict[IndexSpec, EdgeIndex] = {}
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the index process, None while there is none."""
        return None if self._life is None or self._life.gone else self._life.pid

    async def open(self, spec: IndexSpec) -> EdgeIndex:
        check_spec(spec)
        await self.ask(lambda call: Open(call, spec), WRITE_ATTEMPTS)
        return self._open.setdefault(spec, EdgeIndex(self, spec))

    async def drop(self, spec: IndexSpec) -> None:
        check_spec(spec)
        await self.ask(lambda call: Drop(call, spec), WRITE_ATTEMPTS)
        self._open.pop(spec, None)

    async def close(self) -> None:
        """Everything is on the disk when this returns."""
        async with self._starting:
            self._closed = True
            if self._life is not None:
                await self._life.end()

    def forget(self, spec: IndexSpec) -> None:
        self._open.pop(spec, None)

    async def ask(self, make: Callable[[int], Request], attempts: int) -> Answer:
        for attempt in range(attempts):
            if attempt:
                log.warning("the index process is gone and is started again")
            try:
                return await (await self._living()).ask(make)
            except Gone:
                continue
        if attempts == SEARCH_ATTEMPTS:
            raise Throttled("The index is starting again.")
        raise Damaged("the index", "its process ends whenever it is used")

    async def _living(self) -> Life:
        async with self._starting:
            if self._closed:
                raise Throttled("The index is closed.")
            if self._life is not None and self._life.gone:
                await self._life.end(0.0)  # its lock is free only then
                self._life = None
            if self._life is None:
                self._life = await Life.begin(str(self._folder), self._settings)
            return self._life


class EdgeIndex:
    """`Index`. Made by `EdgeIndexes.open`."""

    def __init__(self, indexes: EdgeIndexes, spec: IndexSpec) -> None:
        self._indexes, self._spec = indexes, spec

    async def upsert(self, points: Sequence[Point]) -> None:
        check_points(points, self._spec.dimensions)
        for batch in _batches(points):
            await self._indexes.ask(lambda call, part=batch: Upsert(call, self._spec, part), WRITE_ATTEMPTS)  # type: ignore[misc]

    async def delete(self, ids: Sequence[int]) -> None:
        check_ids(ids)
        for start in range(0, len(ids), BATCH_POINTS):
            batch = tuple(ids[start : start + BATCH_POINTS])
            await self._indexes.ask(lambda call, part=batch: Delete(call, self._spec, part), WRITE_ATTEMPTS)  # type: ignore[misc]

    async def search(self, search: Search) -> Found:
        check_search(search, self._spec.dimensions)
        answer = await self._indexes.ask(lambda call: Look(call, self._spec, search), SEARCH_ATTEMPTS)
        assert isinstance(answer, Seen)
        return answer.found

    async def count(self) -> int:
        answer = await self._indexes.ask(lambda call: Count(call, self._spec), SEARCH_ATTEMPTS)
        assert isinstance(answer, Done)
        return answer.count

    async def optimise(self) -> None:
        await self._indexes.ask(lambda call: Optimise(call, self._spec), WRITE_ATTEMPTS)

    async def close(self) -> None:
        """The process closes the shard when it needs the room."""
        self._indexes.forget(self._spec)


def _batches(points: Sequence[Point]) -> Iterator[tuple[Point, ...]]:
    batch: list[Point] = []
    size = 0
    for point in points:
        weight = len(point.vector) + 4 * len(point.text)
        if batch and (len(batch) >= BATCH_POINTS or size + weight > BATCH_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(point)
        size += weight
    if batch:
        yield tuple(batch)
