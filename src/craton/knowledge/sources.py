"""Data sources as their owners keep them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from craton.core.errors import Conflict, InvalidRequest
from craton.core.knowledge import Chunking, DataSource
from craton.knowledge import tables
from craton.knowledge.bases import check_name, refuse_deleting
from craton.knowledge.ingestions import Ingestions
from craton.knowledge.protocol import NewDataSource, Page
from craton.knowledge.rows import decode, encode, find_base, find_source, new_id, paged
from craton.knowledge.tokens import Token
from craton.store.database import Database

MAX_TOKENS = 8192  # of a chunk; pieces are held to the embedder's window by the chunker


class Sources:
    """`knowledge.protocol.Sources`."""

    def __init__(
        self,
        database: Database,
        check: Callable[[str, NewDataSource], None],
        ingestions: Ingestions,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """check: raises InvalidRequest, NotFound or OutgoingRefused for a source of a tenant that could never be read;
        it may block."""
        self._database, self._check, self._ingestions = database, check, ingestions
        self._clock, self._wake = clock, wake

    async def create(self, tenant: str, base: str, new: NewDataSource, token: str = "") -> DataSource:
        check_name(new.name)
        check_chunking(new.chunking)
        await asyncio.to_thread(self._check, tenant, new)
        once = Token(tenant, f"CreateDataSource {base}", token, new, self._clock())
        return await asyncio.to_thread(self._create, tenant, base, new, once)

    def _create(self, tenant: str, base: str, new: NewDataSource, token: Token) -> DataSource:
        now = self._clock()
        with self._database.write() as connection:
            found = find_base(connection, tenant, base)
            if (known := token.known(connection)) is not None:
                return find_source(connection, tenant, found.id, known)
            refuse_deleting(found)
            if found.kind != "vector":
                raise InvalidRequest("this knowledge base asks a database; it has no data sources", "knowledge_base")
            _refuse_taken(connection, tenant, found.id, new.name)
            source = DataSource(
                id=new_id(),
                tenant=tenant,
                knowledge_base=found.id,
                name=new.name,
                spec=new.spec,
                chunking=new.chunking,
                status="available",
                created=now,
                updated=now,
                description=new.description,
                keep_on_delete=new.keep_on_delete,
                extra=new.extra,
            )
            connection.execute(
                insert(tables.sources).values(
                    tenant=tenant,
                    base=found.id,
                    id=source.id,
                    name=source.name,
                    status=source.status,
                    created=now,
                    updated=now,
                    value=encode(source),
                )
            )
            token.remember(connection, source.id)
        return source

    async def get(self, tenant: str, base: str, source: str) -> DataSource:
        return await asyncio.to_thread(self._get, tenant, base, source)

    def _get(self, tenant: str, base: str, source: str) -> DataSource:
        with self._database.read() as connection:
            return find_source(connection, tenant, find_base(connection, tenant, base).id, source)

    def _list(self, tenant: str, base: str, page: Page) -> tuple[list[DataSource], str]:
        table = tables.sources.c
        with self._database.read() as connection:
            found = find_base(connection, tenant, base)
            query = select(table.value, table.created, table.id).where(table.tenant == tenant, table.base == found.id)
            rows, cursor = paged(connection, query, (table.created, table.id), page)
        return [decode(row.value, DataSource) for row in rows], cursor

    async def list(self, tenant: str, base: str, page: Page) -> tuple[list[DataSource], str]:
        return await asyncio.to_thread(self._list, tenant, base, page)

    async def update(self, tenant: str, base: str, source: str, new: NewDataSource) -> DataSource:
        check_name(new.name)
        await asyncio.to_thread(self._check, tenant, new)
        return await asyncio.to_thread(self._update, tenant, base, source, new)

    def _update(self, tenant: str, base: str, source: str, new: NewDataSource) -> DataSource:
        with self._database.write() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            if found.status == "deleting":
                raise Conflict("data source", found.name, "it is being deleted")
            if new.chunking != found.chunking:
                raise Conflict("data source", found.name, "its chunking cannot change; make another data source")
            if new.spec.kind != found.spec.kind:
                raise Conflict("data source", found.name, "its kind cannot change; make another data source")
            if new.name != found.name:
                _refuse_taken(connection, tenant, found.knowledge_base, new.name)
            changed = replace(
                found,
                name=new.name,
                spec=new.spec,
                description=new.description,
                keep_on_delete=new.keep_on_delete,
                extra=new.extra,
                updated=self._clock(),
            )
            _store(connection, changed, changed.name)
            if new.spec != found.spec:  # what an incremental source said before was about something else
                table = tables.sources.c
                connection.execute(
                    update(tables.sources)
                    .where(table.tenant == tenant, table.base == found.knowledge_base, table.id == found.id)
                    .values(cursor=None)
                )
        return changed

    async def delete(self, tenant: str, base: str, source: str) -> DataSource:
        deleted = await asyncio.to_thread(self._delete, tenant, base, source)
        self._wake()
        return deleted

    def _delete(self, tenant: str, base: str, source: str) -> DataSource:
        with self._database.write() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            deleted = replace(found, status="deleting", updated=self._clock())
            _store(connection, deleted, f"{deleted.id} deleted")  # the name is free at once
            self._ingestions.cancel_all(connection, tenant, found.knowledge_base, found.id)
        return deleted


def check_chunking(chunking: Chunking) -> None:
    """Raises InvalidRequest."""
    for field, value, least, most in (
        ("max_tokens", chunking.max_tokens, 1, MAX_TOKENS),
        ("overlap_percent", chunking.overlap_percent, 0, 99),
        ("parent_tokens", chunking.parent_tokens, 1, MAX_TOKENS),
        ("overlap_tokens", chunking.overlap_tokens, 0, MAX_TOKENS),
        ("buffer", chunking.buffer, 0, 10),
        ("percentile", chunking.percentile, 50, 99),
    ):
        if value is not None and not least <= value <= most:
            raise InvalidRequest(f"must be from {least} to {most}", f"chunking.{field}")
    if chunking.strategy == "hierarchical" and chunking.max_tokens is not None:
        if chunking.max_tokens > chunking.parent_tokens:
            raise InvalidRequest("a child cannot be longer than its parent", "chunking.max_tokens")
        if chunking.overlap_tokens >= chunking.max_tokens:
            raise InvalidRequest("must be less than max_tokens", "chunking.overlap_tokens")


def _refuse_taken(connection: Connection, tenant: str, base: str, name: str) -> None:
    table = tables.sources.c
    same = select(table.id).where(table.tenant == tenant, table.base == base, table.name == name)
    if connection.scalar(same) is not None:
        raise Conflict("data source", name, "there is one of this name already")


def _store(connection: Connection, source: DataSource, name: str) -> None:
    table = tables.sources.c
    connection.execute(
        update(tables.sources)
        .where(table.tenant == source.tenant, table.base == source.knowledge_base, table.id == source.id)
        .values(value=encode(source), name=name, status=source.status, updated=source.updated)
    )
