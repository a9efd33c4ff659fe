"""Knowledge bases as their owners keep them: made, read, renamed, deleted, indexed again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection, insert, select, update

from craton.core.errors import Conflict, InvalidRequest
from craton.core.job import JobSpec
from craton.core.knowledge import KnowledgeBase
from craton.jobs.queue import Jobs
from craton.knowledge import tables
from craton.knowledge.embedders import Embedders, choose, owner
from craton.knowledge.ingestions import Ingestions
from craton.knowledge.protocol import NewKnowledgeBase, Page
from craton.knowledge.rows import base_row, decode, encode, find_base, new_id, paged
from craton.knowledge.tokens import Token
from craton.store.database import Database

MAX_NAME = 100  # characters
_NAME = re.compile(r"(?:[0-9A-Za-z][_-]?)+", re.ASCII)


class Bases:
    """`knowledge.protocol.Bases`."""

    def __init__(
        self,
        database: Database,
        embedders: Embedders,
        check: Callable[[KnowledgeBase], None],
        jobs: Jobs,
        ingestions: Ingestions,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """check: raises InvalidRequest or NotFound for a base whose index or database is not there for its tenant; it
        may block. wake: there is background work."""
        self._database, self._embedders, self._check = database, embedders, check
        self._jobs, self._ingestions, self._clock, self._wake = jobs, ingestions, clock, wake

    async def create(self, tenant: str, new: NewKnowledgeBase, token: str = "") -> KnowledgeBase:
        check_name(new.name)
        now = self._clock()
        base = KnowledgeBase(
            id=new_id(),
            tenant=tenant,
            name=new.name,
            embedder="",
            embedder_revision="",
            dimensions=0,
            status="active",
            created=now,
            updated=now,
            description=new.description,
            index=new.index,
            storage=new.storage,
            extra=new.extra,
        )
        if new.kind not in {"vector", "sql"}:
            raise InvalidRequest("a knowledge base is of the kind vector or sql", "kind")
        base = replace(base, kind="sql" if new.kind == "sql" else "vector")
        await asyncio.to_thread(self._check, base)
        if base.kind == "vector":
            info, dimensions = await choose(self._embedders, tenant, new.embedder, new.dimensions)
            base = replace(base, embedder=info.id, embedder_revision=info.revision, dimensions=dimensions)
        return await asyncio.to_thread(self._insert, base, Token(tenant, "CreateKnowledgeBase", token, new, now))

    def _insert(self, base: KnowledgeBase, token: Token) -> KnowledgeBase:
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return find_base(connection, base.tenant, known)
            _refuse_taken(connection, base.tenant, base.name)
            connection.execute(
                insert(tables.bases).values(
                    tenant=base.tenant,
                    id=base.id,
                    name=base.name,
                    status=base.status,
                    created=base.created,
                    updated=base.updated,
                    value=encode(base),
                    epoch=1,
                    indexed=0,
                    removed=0,
                    next_epoch=0,
                    next_indexed=0,
                )
            )
            token.remember(connection, base.id)
        return base

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        return await asyncio.to_thread(self._get, tenant, base)

    def _get(self, tenant: str, base: str) -> KnowledgeBase:
        with self._database.read() as connection:
            return find_base(connection, tenant, base)

    def _list(self, tenant: str, page: Page) -> tuple[list[KnowledgeBase], str]:
        table = tables.bases.c
        query = select(table.value, table.created, table.id).where(table.tenant == tenant)
        with self._database.read() as connection:
            rows, cursor = paged(connection, query, (table.created, table.id), page)
        return [decode(row.value, KnowledgeBase) for row in rows], cursor

    async def list(self, tenant: str, page: Page) -> tuple[list[KnowledgeBase], str]:
        return await asyncio.to_thread(self._list, tenant, page)

    async def update(self, tenant: str, base: str, new: NewKnowledgeBase) -> KnowledgeBase:
        check_name(new.name)
        found = await self.get(tenant, base)
        embedder = new.embedder
        if found.kind == "vector" and embedder and embedder != found.embedder:
            embedder = (await self._embedders.model(owner(tenant), embedder)).id
        changed = [
            name
            for name, value, kept in (
                ("embedding model", embedder or found.embedder, found.embedder),
                ("vectors' length", new.dimensions or found.dimensions, found.dimensions),
                ("index", new.index, found.index),
                ("index", new.storage.get("register", ""), found.storage.get("register", "")),
                ("kind", new.kind, found.kind),
            )
            if value != kept
        ]
        if changed:
            raise Conflict("knowledge base", found.name, f"its {changed[0]} cannot change; make another knowledge base")
        return await asyncio.to_thread(self._update, tenant, found.id, new)

    def _update(self, tenant: str, base: str, new: NewKnowledgeBase) -> KnowledgeBase:
        with self._database.write() as connection:
            found = find_base(connection, tenant, base)
            refuse_deleting(found)
            if new.name != found.name:
                _refuse_taken(connection, tenant, new.name)
            changed = replace(found, name=new.name, description=new.description, extra=new.extra, updated=self._clock())
            _store(connection, changed, changed.name)
        return changed

    async def delete(self, tenant: str, base: str) -> KnowledgeBase:
        deleted = await asyncio.to_thread(self._delete, tenant, base)
        self._wake()
        return deleted

    def _delete(self, tenant: str, base: str) -> KnowledgeBase:
        with self._database.write() as connection:
            deleted = replace(find_base(connection, tenant, base), status="deleting", updated=self._clock())
            _store(connection, deleted, f"{deleted.id} deleted")  # the name is free at once
            self._ingestions.cancel_all(connection, tenant, deleted.id)
        return deleted

    async def reindex(self, tenant: str, base: str) -> str:
        job = await asyncio.to_thread(self._reindex, tenant, base)
        self._wake()
        return job

    def _reindex(self, tenant: str, base: str) -> str:
        with self._database.write() as connection:
            found = decode(base_row(connection, tenant, base).value, KnowledgeBase)
            refuse_deleting(found)
            if found.kind != "vector":
                raise InvalidRequest("it has no index", "knowledge_base")
            return self._jobs.submit(
                connection,
                JobSpec(tenant, "reindex", {"base": found.id}, f"knowledge base {found.name}", f"reindex {found.id}"),
            ).id


def check_name(name: str) -> None:
    """As on Bedrock, so that every client can say it. Raises InvalidRequest."""
    if not 0 < len(name) <= MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"it has 1 to {MAX_NAME} letters and digits, with single dashes or underscores between them", "name"
        )


def refuse_deleting(base: KnowledgeBase) -> None:
    """Raises Conflict."""
    if base.status == "deleting":
        raise Conflict("knowledge base", base.name, "it is being deleted")


def _refuse_taken(connection: Connection, tenant: str, name: str) -> None:
    table = tables.bases.c
    if connection.scalar(select(table.id).where(table.tenant == tenant, table.name == name)) is not None:
        raise Conflict("knowledge base", name, "there is one of this name already")


def _store(connection: Connection, base: KnowledgeBase, name: str) -> None:
    table = tables.bases.c
    connection.execute(
        update(tables.bases)
        .where(table.tenant == base.tenant, table.id == base.id)
        .values(value=encode(base), name=name, status=base.status, updated=base.updated)
    )
