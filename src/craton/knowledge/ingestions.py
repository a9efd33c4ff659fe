"""Runs over a source: started, followed, stopped. Each is a job; its row here says what it did to the ledger.

At most one is under way for a source. It ends in the ledger (`ended`) in the very transaction that writes its last
rows, which is a moment before its job does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from craton.core.errors import Conflict, InvalidRequest, NotFound, Unsupported
from craton.core.job import Job, JobSpec
from craton.core.knowledge import DataSource, Ingestion, KnowledgeBase, Statistics
from craton.jobs.queue import Jobs
from craton.jobs.rows import is_job, to_job
from craton.jobs.rows import table as job_rows
from craton.knowledge.protocol import Page
from craton.knowledge.rows import decode, encode, find_base, find_source, new_id, paged
from craton.knowledge.structured.live import is_live
from craton.knowledge.tables import ingestions
from craton.knowledge.tokens import Token
from craton.store.database import Database

KIND = "ingest"


class Ingestions:
    """`knowledge.protocol.Ingestions`."""

    def __init__(self, database: Database, jobs: Jobs, clock: Callable[[], float]) -> None:
        self._database, self._jobs, self._clock = database, jobs, clock

    async def start(
        self,
        tenant: str,
        base: str,
        source: str,
        *,
        description: str = "",
        token: str = "",
        confirm_shrinking: bool = False,
    ) -> Ingestion:
        request = [base, source, description, confirm_shrinking]
        once = Token(tenant, "StartIngestionJob", token, request, self._clock())
        return await asyncio.to_thread(self._start, tenant, base, source, description, once, confirm_shrinking)

    def _start(
        self, tenant: str, base: str, source: str, description: str, token: Token, confirm_shrinking: bool
    ) -> Ingestion:
        with self._database.write() as connection:
            found, data_source = usable(connection, tenant, base, source)
            if (known := token.known(connection)) is not None:
                return self._found(connection, data_source, known)
            if self._under_way(connection, data_source) is not None:
                raise Conflict("data source", data_source.name, "an ingestion of it is under way")
            started = self._begin(connection, found, data_source, description, confirm_shrinking)
            token.remember(connection, started.id)
        return started

    def join_or_begin(
        self, connection: Connection, base: KnowledgeBase, source: DataSource, description: str
    ) -> Ingestion:
        """The ingestion that will see what the caller's transaction writes for this source."""
        under_way = self._under_way(connection, source)
        if under_way is not None and under_way.status != "stopping":
            return under_way
        return self._begin(connection, base, source, description, False)

    def _begin(
        self,
        connection: Connection,
        base: KnowledgeBase,
        source: DataSource,
        description: str,
        confirm_shrinking: bool,
    ) -> Ingestion:
        id, now = new_id(), self._clock()
        arguments = {"base": base.id, "source": source.id, "ingestion": id, "confirm_shrinking": confirm_shrinking}
        job = self._jobs.submit(
            connection, JobSpec(base.tenant, KIND, arguments, f"{source.name} into knowledge base {base.name}")
        )
        begun = Ingestion(id, base.tenant, base.id, source.id, job.id, "starting", Statistics(), now, now, description)
        connection.execute(
            insert(ingestions).values(
                tenant=begun.tenant,
                base=begun.knowledge_base,
                source=begun.source,
                id=id,
                job=job.id,
                started=now,
                ended=False,
                value=encode(begun),
            )
        )
        return begun

    async def get(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion:
        return await asyncio.to_thread(self._get, tenant, base, source, ingestion)

    def _get(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion:
        with self._database.read() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            return self._found(connection, found, ingestion)

    def _list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Ingestion], str]:
        with self._database.read() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            order = (ingestions.c.started, ingestions.c.id)
            rows, cursor = paged(connection, select(ingestions).where(_of(found)), order, page)
            return [self._seen(connection, row) for row in rows], cursor

    async def list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Ingestion], str]:
        return await asyncio.to_thread(self._list, tenant, base, source, page)

    async def stop(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion:
        return await asyncio.to_thread(self._stop, tenant, base, source, ingestion)

    def _stop(self, tenant: str, base: str, source: str, ingestion: str) -> Ingestion:
        with self._database.write() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            seen = self._found(connection, found, ingestion)
            if seen.status in {"complete", "failed", "stopped"}:
                raise Conflict("ingestion", ingestion, "it has ended already")
            self._jobs.cancel(tenant, seen.job, connection)
            return self._found(connection, found, ingestion)

    def cancel_all(self, connection: Connection, tenant: str, base: str, source: str | None = None) -> None:
        """Stops what is under way for a base, or for one source of it, in the caller's transaction."""
        condition = (ingestions.c.tenant == tenant) & (ingestions.c.base == base) & ~ingestions.c.ended
        if source is not None:
            condition &= ingestions.c.source == source
        for row in connection.execute(select(ingestions).where(condition)):
            if _job(connection, row) is not None:
                self._jobs.cancel(tenant, row.job, connection)

    def _found(self, connection: Connection, source: DataSource, ingestion: str) -> Ingestion:
        row = connection.execute(select(ingestions).where(_of(source), ingestions.c.id == ingestion)).one_or_none()
        if row is None:
            raise NotFound("ingestion job", ingestion[:200])
        return self._seen(connection, row)

    def _under_way(self, connection: Connection, source: DataSource) -> Ingestion | None:
        """The one that has not ended, if any. What its job left behind when it broke down is put right."""
        found = None
        for row in connection.execute(select(ingestions).where(_of(source), ~ingestions.c.ended)).all():
            seen = self._seen(connection, row)
            if seen.status in {"failed", "stopped", "complete"}:
                connection.execute(
                    update(ingestions)
                    .where(_of(source), ingestions.c.id == row.id)
                    .values(value=encode(seen), ended=True)
                )
            elif found is None or found.status == "stopping":
                found = seen
        return found

    def _seen(self, connection: Connection, row: Row[Any]) -> Ingestion:
        """The row together with what its job says of itself."""
        kept = decode(row.value, Ingestion)
        if row.ended:
            return kept
        job = _job(connection, row)
        if job is None:
            return replace(kept, status="failed", failures=(*kept.failures, "Its job is gone."))
        kept = replace(kept, total=job.progress.total, eta=job.progress.eta)
        if job.status == "failed":
            return replace(kept, status="failed", eta=None, updated=job.ended or kept.updated, failures=(job.error,))
        if job.status == "cancelled":
            return replace(kept, status="stopped", eta=None, updated=job.ended or kept.updated)
        return replace(kept, status="stopping") if job.cancelling else kept


def usable(connection: Connection, tenant: str, base: str, source: str) -> tuple[KnowledgeBase, DataSource]:
    """A base and its source that documents can go into. Raises NotFound, Conflict, InvalidRequest,
    Unsupported."""
    found = find_base(connection, tenant, base)
    data_source = find_source(connection, tenant, found.id, source)
    if found.status == "deleting":
        raise Conflict("knowledge base", found.name, "it is being deleted")
    if found.kind != "vector":
        raise InvalidRequest("this knowledge base asks a database; it takes no documents", "knowledge_base")
    if data_source.status == "deleting":
        raise Conflict("data source", data_source.name, "it is being deleted")
    if is_live(data_source):
        raise Unsupported("Reading a live source into a knowledge base", "It is asked with each question.")
    return found, data_source


def _of(source: DataSource) -> ColumnElement[bool]:
    return (
        (ingestions.c.tenant == source.tenant)
        & (ingestions.c.base == source.knowledge_base)
        & (ingestions.c.source == source.id)
    )


def _job(connection: Connection, row: Row[Any]) -> Job | None:
    found = connection.execute(select(job_rows).where(is_job(row.tenant, row.job))).one_or_none()
    return None if found is None else to_job(found)
