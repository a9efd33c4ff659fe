"""Customization jobs as their owners see them: started, followed, stopped. Each is a job of the queue; its row here
keeps what was asked and how it ended, also when the queue has long forgotten it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, case, select

from craton.core.chat import Json
from craton.core.errors import Conflict, NotFound
from craton.core.job import JobSpec
from craton.core.repo import RepoId
from craton.customizing import tables
from craton.customizing.following import follow
from craton.customizing.logs import Logs
from craton.customizing.rows import Listing, customizations, new_id
from craton.customizing.tags import Tags
from craton.customizing.values import Customization
from craton.hub import rows as hub_rows
from craton.jobs.queue import Jobs
from craton.jobs.rows import is_job, to_job
from craton.jobs.rows import table as queue
from craton.knowledge.tokens import Token
from craton.store.database import Database

KIND = "customize"
NAMESPACE = "custom"
"""Of the repositories that hold custom models."""


class NewCustomization(Struct, frozen=True):
    """document: the specification of the tuning, without its output. logs: where its records are taken from, None for
    where the document says. See `values.Customization` for the others."""

    name: str
    output: str
    method: str
    base: str
    document: Json
    bucket: str
    prefix: str
    tags: dict[str, str] = {}
    model_tags: dict[str, str] = {}
    extra: Json = {}
    logs: Logs | None = None


Prepare = Callable[[str, NewCustomization, str], Awaitable[Json]]
"""(tenant, what is asked, the id that it will have) -> the arguments of a training: checked, its data pinned."""


class Customizations:
    """Coroutines. clock: seconds since the epoch."""

    def __init__(self, database: Database, jobs: Jobs, prepare: Prepare, clock: Callable[[], float]) -> None:
        self._database, self._jobs, self._prepare, self._clock = database, jobs, prepare, clock
        jobs.forgetting(self._keep)

    async def create(self, tenant: str, new: NewCustomization, token: str = "") -> Customization:
        """Raises Conflict when a name is in use, and what `prepare` raises."""
        once = Token(tenant, "CreateModelCustomizationJob", token, new, self._clock())
        if (known := await asyncio.to_thread(self._known, tenant, once)) is not None:
            return known
        id = new_id()
        output = {"model": f"{NAMESPACE}/{new.output}", "private": True}
        asked = replace(new, document={**new.document, "output": output})
        training = await self._prepare(tenant, asked, id)
        return await asyncio.to_thread(self._insert, tenant, id, new, training, once)

    async def get(self, tenant: str, identifier: str) -> Customization:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def stop(self, tenant: str, identifier: str) -> Customization:
        """Raises NotFound; Conflict for one that has ended."""
        return await asyncio.to_thread(self._stop, tenant, identifier)

    def _known(self, tenant: str, token: Token) -> Customization | None:
        with self._database.read() as connection:
            known = token.known(connection)
            return None if known is None else self._seen(connection, customizations.find(connection, tenant, known))

    def _insert(self, tenant: str, id: str, new: NewCustomization, training: Json, token: Token) -> Customization:
        now = self._clock()
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return self._seen(connection, customizations.find(connection, tenant, known))
            refuse_taken(connection, tenant, new.output)
            refuse_repository(connection, tenant, new.output)
            arguments = {**training, "customization": id}
            subject = f"customization of {new.base} -> {NAMESPACE}/{new.output}"
            job = self._jobs.submit(connection, JobSpec(tenant, KIND, arguments, subject))
            made = Customization(
                id=id,
                tenant=tenant,
                name=new.name,
                job=job.id,
                method=new.method,
                base=new.base,
                output=new.output,
                status="in_progress",
                created=now,
                updated=now,
                bucket=new.bucket,
                prefix=new.prefix,
                tags=new.model_tags,
                extra=new.extra,
            )
            customizations.insert(connection, made)
            Tags.put(connection, tenant, f"model-customization-job/{id}", new.tags)
            token.remember(connection, id)
        return made

    def _get(self, tenant: str, identifier: str) -> Customization:
        with self._database.read() as connection:
            return self._seen(connection, customizations.find(connection, tenant, identifier))

    def _list(self, tenant: str, listing: Listing) -> tuple[list[Customization], str]:
        conditions = [_STATUS.in_((listing.status,))] if listing.status else []
        query = customizations.listed(tenant, listing, *conditions).outerjoin(queue, _ITS_JOB)
        with self._database.read() as connection:
            found = [customizations.read(row.value) for row in connection.execute(query)]
            page, cursor = customizations.paged(found, listing)
            return [self._seen(connection, one) for one in page], cursor

    async def list(self, tenant: str, listing: Listing) -> tuple[list[Customization], str]:
        return await asyncio.to_thread(self._list, tenant, listing)

    def _stop(self, tenant: str, identifier: str) -> Customization:
        with self._database.write() as connection:
            found = self._seen(connection, customizations.find(connection, tenant, identifier))
            if found.status not in {"in_progress", "stopping"}:
                raise Conflict("customization job", found.name, f"it has ended already ({found.status})")
            self._jobs.cancel(tenant, found.job, connection)
            return self._seen(connection, found)

    def _keep(self, connection: Connection, tenant: str, job: str) -> None:
        """Before the queue forgets a job, its end is written down here."""
        mine = (tables.jobs.c.tenant == tenant) & (tables.jobs.c.job == job) & ~tables.jobs.c.ended
        text = connection.scalar(select(tables.jobs.c.value).where(mine))
        if text is not None:
            seen = self._seen(connection, customizations.read(text))
            customizations.update(connection, replace(seen, ended_at=seen.ended_at or self._clock()))

    def _seen(self, connection: Connection, kept: Customization) -> Customization:
        """The row together with what the queue and the curves say of it."""
        if kept.ended:
            return kept
        row: Row[Any] | None = connection.execute(select(queue).where(is_job(kept.tenant, kept.job))).one_or_none()
        return follow(connection, kept, None if row is None else to_job(row))


def refuse_taken(connection: Connection, tenant: str, name: str) -> None:
    """Raises Conflict when a custom model has this name, or a job is making one of this name."""
    made, models = tables.jobs.c, tables.models.c
    there = select(models.id).where(models.tenant == tenant, models.name == name)
    coming = (
        select(made.id)
        .outerjoin(queue, _ITS_JOB)
        .where(made.tenant == tenant, made.output == name, _STATUS.in_(("in_progress", "stopping")))
    )
    if connection.scalar(there) is not None or connection.scalar(coming) is not None:
        raise Conflict("custom model", name, "the name is in use already; choose another one")


def refuse_repository(connection: Connection, tenant: str, name: str) -> None:
    """Raises Conflict when there is a repository where the custom model is to be: it is somebody's work."""
    repo = RepoId("model", NAMESPACE, name)
    with suppress(NotFound):
        hub_rows.find(connection, tenant, repo)
        raise Conflict("repository", repo.path, "it exists already; choose another name for the custom model")


_ITS_JOB = (queue.c.tenant == tables.jobs.c.tenant) & (queue.c.id == tables.jobs.c.job)
_STATUS = case(
    (tables.jobs.c.ended, tables.jobs.c.status),
    (queue.c.id.is_(None) | (queue.c.status == "failed"), "failed"),
    (queue.c.status == "cancelled", "stopped"),
    (queue.c.cancelling, "stopping"),
    else_="in_progress",
)
"""As `following.follow` has it, for the database to choose by."""
