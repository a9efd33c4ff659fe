"""The indexes that are open, each checked once against what the rows say it holds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from craton.core.errors import Damaged, InvalidRequest, NotFound
from craton.core.knowledge import KnowledgeBase
from craton.index.protocol import Index, Indexes
from craton.knowledge.places import index_spec, place
from craton.knowledge.syncing import marks as rows
from craton.knowledge.syncing.marks import Marks
from craton.store.database import Database

Key = tuple[str, str, int]
"""tenant, base, epoch"""

log = logging.getLogger("craton.syncing")


class OpenIndexes:
    """places: as `knowledge.places.place` names them."""

    def __init__(self, database: Database, places: Mapping[str, Indexes]) -> None:
        self._database, self._places = database, places
        self._open: dict[Key, Index] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def current(self, tenant: str, base: str) -> Index | None:
        """The index that answers, if it is open."""
        epoch = self._epochs.get((tenant, base))
        return None if epoch is None else self._open.get((tenant, base, epoch))

    async def open(self, tenant: str, base: str) -> Index:
        """The index that answers. One that lost what it should hold is given up and filled again from the rows.

        Raises NotFound, InvalidRequest when its server is not configured any more, and what the place raises.
        """
        if (index := self.current(tenant, base)) is not None:
            return index
        async with self._locks.setdefault((tenant, base), asyncio.Lock()):
            if (index := self.current(tenant, base)) is not None:
                return index
            marks = await self._marks(tenant, base)
            try:
                index = await self._open_checked(marks.base, marks.epoch, marks.indexed)
            except Damaged as error:
                log.warning("the index of knowledge base %s is lost and built again: %s", base, error)
                await self._give_up(marks)
                marks = await self._marks(tenant, base)
                index = await self._open_checked(marks.base, marks.epoch, 0)
            await self._drop(marks.base, marks.epoch - 1)  # a server that was killed may have left it
            self._open[tenant, base, marks.epoch] = index
            self._epochs[tenant, base] = marks.epoch
            return index

    async def open_next(self, marks: Marks) -> Index:
        """The index that a rebuild fills. Raises Damaged when it does not hold what it should."""
        key = (marks.base.tenant, marks.base.id, marks.next_epoch)
        if key not in self._open:
            self._open[key] = await self._open_checked(marks.base, marks.next_epoch, marks.next_indexed)
        return self._open[key]

    async def _open_checked(self, base: KnowledgeBase, epoch: int, indexed: int) -> Index:
        index = await self._place(base).open(index_spec(base, epoch))
        least = await asyncio.to_thread(rows.expected, self._database, base, indexed) if indexed else 0
        found = await index.count() if least else 0
        if found < least:
            await index.close()
            raise Damaged("The index", f"it has {found:,} of {least:,} entries.")
        return index

    async def lost(self, tenant: str, base: str, index: Index | None = None) -> None:
        """The index that answers cannot be read: another one is filled in its place. index: the one that was meant, so
        that what was replaced in between is not lost a second time."""
        async with self._locks.setdefault((tenant, base), asyncio.Lock()):
            if index is not None and self.current(tenant, base) is not index:
                return
            await self._give_up(await self._marks(tenant, base))

    async def _give_up(self, marks: Marks) -> None:
        await asyncio.to_thread(rows.begin_again, self._database, marks)
        for epoch in {marks.epoch, marks.next_epoch} - {0}:
            await self.close(marks.base, epoch)
            await self._drop(marks.base, epoch)

    async def switch(self, base: KnowledgeBase, epoch: int) -> None:
        """The index of this epoch answers from now on."""
        self._epochs[base.tenant, base.id] = epoch

    async def close(self, base: KnowledgeBase, epoch: int) -> None:
        index = self._open.pop((base.tenant, base.id, epoch), None)
        if index is not None:
            await index.close()

    async def retire(self, base: KnowledgeBase, epoch: int) -> None:
        """Closes it and removes it with everything in it."""
        await self.close(base, epoch)
        await self._drop(base, epoch)

    async def _drop(self, base: KnowledgeBase, epoch: int) -> None:
        if epoch > 0:
            await self._place(base).drop(index_spec(base, epoch))

    async def remove(self, marks: Marks) -> None:
        """Everything of a base that is being deleted. A place that is not configured any more keeps what it has."""
        self._epochs.pop((marks.base.tenant, marks.base.id), None)
        if place(marks.base) not in self._places:
            log.warning("the index of knowledge base %s stays: %s is gone", marks.base.id, place(marks.base))
            return
        for epoch in sorted({marks.epoch - 1, marks.epoch, marks.next_epoch} - {0}):
            await self.retire(marks.base, epoch)
        self._locks.pop((marks.base.tenant, marks.base.id), None)

    async def close_all(self) -> None:
        for index in self._open.values():
            await index.close()
        self._open.clear()
        self._epochs.clear()

    async def _marks(self, tenant: str, base: str) -> Marks:
        marks = await asyncio.to_thread(rows.read, self._database, tenant, base)
        if marks is None or marks.base.status == "deleting" or marks.base.kind != "vector":
            raise NotFound("knowledge base", base)
        return marks

    def _place(self, base: KnowledgeBase) -> Indexes:
        found = self._places.get(place(base))
        if found is None:
            raise InvalidRequest(f"the index server {place(base)!r} of this knowledge base is not configured")
        return found
