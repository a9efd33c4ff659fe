"""One base's work: new pieces into its index, removed ones out of it, a rebuild filled, what is deleted swept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from craton.core.errors import Damaged
from craton.core.knowledge import KnowledgeBase
from craton.index.protocol import Index
from craton.knowledge.syncing import marks as rows
from craton.knowledge.syncing.marks import Marks
from craton.knowledge.syncing.opened import OpenIndexes
from craton.knowledge.syncing.sweeping import sweep_base, sweep_documents, sweep_source
from craton.store.database import Database

POINTS = 256  # of one batch: small enough for queries to pass between two
REMOVALS = 1000
RETIRING = 10.0  # seconds that searches have to leave an index that was replaced
LEAST_OPTIMISED = 2000  # new points
SHARE_OPTIMISED = 0.1  # of all points: below that, searches are fast as it is

log = logging.getLogger("craton.syncing")


class Carrying:
    """Steps are taken one at a time for each base: what a step has read is nobody else's to change."""

    def __init__(self, database: Database, indexes: OpenIndexes, clock: Callable[[], float]) -> None:
        self._database, self._indexes, self._clock = database, indexes, clock
        self._new: dict[tuple[str, str], int] = {}
        self._background: set[asyncio.Task[None]] = set()

    async def step(self, tenant: str, base: str) -> bool:
        """Some of the work. Whether there may be more. Raises CratonError when the index does not do its part."""
        marks = await asyncio.to_thread(rows.read, self._database, tenant, base)
        if marks is None:
            return False
        if marks.base.status == "deleting":
            await self._indexes.remove(marks)
            return await asyncio.to_thread(sweep_base, self._database, marks.base)
        try:
            carried = await self._carry(marks)
        except Damaged as error:
            log.warning("the index of knowledge base %s is damaged and built again: %s", base, error)
            await self._indexes.lost(tenant, base)
            return True
        swept = await asyncio.to_thread(sweep_documents, self._database, tenant, base)
        deleted = await asyncio.to_thread(sweep_source, self._database, tenant, base, self._clock())
        return carried or swept or deleted

    async def _carry(self, marks: Marks) -> bool:
        base = marks.base
        index = await self._indexes.open(base.tenant, base.id)
        opened = await asyncio.to_thread(rows.read, self._database, base.tenant, base.id)
        if opened is None or opened.epoch != marks.epoch:
            return True  # it was lost and begins again
        points = await asyncio.to_thread(rows.next_points, self._database, base, marks.indexed, POINTS)
        if points is not None:
            if points.points:
                await index.upsert(points.points)
            await asyncio.to_thread(rows.move_indexed, self._database, marks, points.last)
            key = (base.tenant, base.id)
            self._new[key] = self._new.get(key, 0) + len(points.points)
        following = await self._indexes_next(marks)
        filled = following is not None and await self._fill(marks, following)
        removed = await self._remove(marks, index, following)
        if points is None and not filled and not removed:
            await self._optimise(base, index)
        return points is not None or filled or removed

    async def _remove(self, marks: Marks, index: Index, following: Index | None) -> bool:
        pieces, last = await asyncio.to_thread(rows.next_removals, self._database, marks.base, marks.removed, REMOVALS)
        if not pieces:
            return False
        await index.delete(pieces)
        if following is not None:
            await following.delete(pieces)
        await asyncio.to_thread(rows.move_removed, self._database, marks, last)
        return True

    async def _indexes_next(self, marks: Marks) -> Index | None:
        if not marks.next_epoch:
            return None
        try:
            return await self._indexes.open_next(marks)
        except Damaged:
            await self._indexes.retire(marks.base, marks.next_epoch)
            await asyncio.to_thread(rows.move_next_indexed, self._database, marks, 0)
            return None

    async def _fill(self, marks: Marks, following: Index) -> bool:
        """The next index, until it holds what the present one does and takes its place."""
        points = await asyncio.to_thread(rows.next_points, self._database, marks.base, marks.next_indexed, POINTS)
        if points is not None:
            if points.points:
                await following.upsert(points.points)
            await asyncio.to_thread(rows.move_next_indexed, self._database, marks, points.last)
            return True
        await following.optimise()
        if not await asyncio.to_thread(rows.take_next, self._database, marks):
            return True
        await self._indexes.switch(marks.base, marks.next_epoch)
        task = asyncio.create_task(self._retire(marks.base, marks.epoch))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return False

    async def _retire(self, base: KnowledgeBase, epoch: int) -> None:
        await asyncio.sleep(RETIRING)
        try:
            await self._indexes.retire(base, epoch)
        except Exception:
            log.exception("the old index of knowledge base %s could not be removed", base.id)

    async def _optimise(self, base: KnowledgeBase, index: Index) -> None:
        key = (base.tenant, base.id)
        new = self._new.get(key, 0)
        if new >= LEAST_OPTIMISED and new >= SHARE_OPTIMISED * await index.count():
            await index.optimise()
            self._new[key] = 0

    async def close(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
