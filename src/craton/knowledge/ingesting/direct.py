"""Documents that callers handed in, as rows, and as a source: what came after a cursor, in the order it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, delete, insert, select
from sqlalchemy import func as sql

from craton.core.knowledge import DataSource
from craton.core.streams import closing
from craton.data.documents import Fetched, Item
from craton.data.sources.bucket import Buckets
from craton.data.sources.direct import DirectSource, PendingDocument
from craton.knowledge.rows import decode, digest, encode
from craton.knowledge.tables import direct
from craton.store.blobs import Blobs
from craton.store.database import Database

BATCH = 200


class HandedIn:
    """`data.sources.direct.Pending` over the rows of one data source. last: the number of the row listed last."""

    def __init__(self, database: Database, source: DataSource) -> None:
        self._database, self._source = database, source
        self.last = 0

    async def list(self) -> AsyncIterator[PendingDocument]:
        """What came behind `last`."""
        while rows := await asyncio.to_thread(self._read, self.last):
            for number, value in rows:
                self.last = number
                yield decode(value, PendingDocument)

    def _read(self, after: int) -> Sequence[tuple[int, str]]:
        query = (
            select(direct.c.number, direct.c.value)
            .where(_of(self._source), direct.c.number > after)
            .order_by(direct.c.number)
            .limit(BATCH)
        )
        with self._database.read() as connection:
            return [(row.number, row.value) for row in connection.execute(query)]

    async def get(self, key: str) -> PendingDocument | None:
        return await asyncio.to_thread(self._get, key)

    def _get(self, key: str) -> PendingDocument | None:
        query = select(direct.c.value).where(_of(self._source), direct.c.key_digest == digest(key))
        with self._database.read() as connection:
            value = connection.scalar(query)
        return None if value is None else decode(value, PendingDocument)


class HandedInSource:
    """`data.documents.Source`. Nothing leaves the list when it has been read, so that everything can be read again
    when something else would be made of it; the cursor says what is new."""

    incremental = True

    def __init__(self, database: Database, blobs: Blobs, buckets: Buckets | None, source: DataSource) -> None:
        self._rows = HandedIn(database, source)
        self._inner = DirectSource(self._rows, blobs.read, buckets, source.tenant)

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        self._rows.last = int(cursor or 0)
        async with closing(self._inner.list(None)) as items:
            async for item in items:
                # What lies elsewhere is read again each time it is handed in, and no more often.
                yield item if item.etag else replace(item, etag=f"row {self._rows.last}")

    def cursor(self) -> str | None:
        return str(self._rows.last)

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        return await self._inner.fetch(item, folder, limit)

    async def close(self) -> None:
        await self._inner.close()


def hand_in(connection: Connection, source: DataSource, document: PendingDocument) -> None:
    """Puts it at the end of the list, in place of what had its key before."""
    take_back(connection, source, [document.key])
    connection.execute(
        insert(direct).values(
            tenant=source.tenant,
            base=source.knowledge_base,
            source=source.id,
            key_digest=digest(document.key),
            value=encode(document),
        )
    )


def take_back(connection: Connection, source: DataSource, keys: Sequence[str]) -> None:
    digests = [digest(key) for key in keys]
    connection.execute(delete(direct).where(_of(source), direct.c.key_digest.in_(digests)))


def newest(connection: Connection, source: DataSource) -> int:
    """The number of the row that was handed in last; 0 when there is none."""
    return connection.scalar(select(sql.max(direct.c.number)).where(_of(source))) or 0


def _of(source: DataSource) -> ColumnElement[bool]:
    return (
        (direct.c.tenant == source.tenant) & (direct.c.base == source.knowledge_base) & (direct.c.source == source.id)
    )
