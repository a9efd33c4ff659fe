"""Custom models as their owners see them: a repository of theirs, at one revision, under a name of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, select

from craton.core.chat import Json
from craton.core.errors import Conflict, NotFound
from craton.core.job import JobSpec
from craton.core.repo import RepoId
from craton.customizing import tables
from craton.customizing.customizations import refuse_repository, refuse_taken
from craton.customizing.rows import Listing, custom_models, deployments, new_id, throughputs
from craton.customizing.tags import Tags
from craton.customizing.values import CustomModel
from craton.hub.repositories import Hub
from craton.jobs.queue import Jobs
from craton.jobs.rows import is_job
from craton.jobs.rows import table as queue
from craton.knowledge.tokens import Token

KIND = "custom-model"
"""Of the job that brings a model in."""


class NewCustomModel(Struct, frozen=True):
    """source: "s3://bucket/folder/" or "hf://namespace/name@revision", of a model in a format that is served here."""

    name: str
    source: str
    tags: dict[str, str] = {}
    extra: Json = {}


class CustomModels:
    """Coroutines. clock: seconds since the epoch."""

    def __init__(self, hub: Hub, jobs: Jobs, clock: Callable[[], float]) -> None:
        self._hub, self._jobs, self._clock = hub, jobs, clock
        self._database = hub.database
        jobs.forgetting(self._keep)

    async def create(self, tenant: str, new: NewCustomModel, token: str = "") -> CustomModel:
        """Raises Conflict when the name is in use."""
        once = Token(tenant, "CreateCustomModel", token, new, self._clock())
        return await asyncio.to_thread(self._create, tenant, new, once)

    async def get(self, tenant: str, identifier: str) -> CustomModel:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def delete(self, tenant: str, identifier: str) -> None:
        """The row, and the repository behind it. Raises NotFound; Conflict while anything serves it."""
        await asyncio.to_thread(self._delete, tenant, identifier)

    def _create(self, tenant: str, new: NewCustomModel, token: Token) -> CustomModel:
        id = new_id()
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return seen(connection, custom_models.find(connection, tenant, known))
            refuse_taken(connection, tenant, new.name)
            refuse_repository(connection, tenant, new.name)
            spec = JobSpec(tenant, KIND, {"model": id}, f"{new.source} -> custom model {new.name}")
            job = self._jobs.submit(connection, spec)
            made = CustomModel(
                id, tenant, new.name, "creating", self._clock(), job=job.id, source=new.source, extra=new.extra
            )
            custom_models.insert(connection, made)
            Tags.put(connection, tenant, f"custom-model/{id}", new.tags)
            token.remember(connection, id)
        return made

    def _get(self, tenant: str, identifier: str) -> CustomModel:
        with self._database.read() as connection:
            return seen(connection, custom_models.find(connection, tenant, identifier))

    def _list(self, tenant: str, listing: Listing, base: str) -> tuple[list[CustomModel], str]:
        table = tables.models.c
        conditions = [table.base == base] if base else []
        if listing.status:
            conditions.append(table.status == listing.status)
        with self._database.read() as connection:
            rows = connection.execute(custom_models.listed(tenant, listing, *conditions))
            page, cursor = custom_models.paged([custom_models.read(row.value) for row in rows], listing)
            return [seen(connection, one) for one in page], cursor

    async def list(self, tenant: str, listing: Listing, base: str = "") -> tuple[list[CustomModel], str]:
        """base: the name of the model that they were made from, "" for any."""
        return await asyncio.to_thread(self._list, tenant, listing, base)

    def _delete(self, tenant: str, identifier: str) -> None:
        with self._database.write() as connection:
            found = custom_models.find(connection, tenant, identifier)
            for rows in (deployments, throughputs):
                columns = rows.table.c
                serving = (columns.tenant == tenant) & (columns.model == found.id)
                if (name := connection.scalar(select(columns.name).where(serving).limit(1))) is not None:
                    raise Conflict("custom model", found.name, f"{name!r} serves it; delete that first")
            if found.job:
                with suppress(NotFound):
                    self._jobs.cancel(tenant, found.job, connection)
            custom_models.delete(connection, found)
            Tags.drop(connection, tenant, f"custom-model/{found.id}")
        namespace, _, name = found.repo.partition("/")
        if namespace:
            with suppress(NotFound):
                self._hub.delete(tenant, RepoId("model", namespace, name))

    def _keep(self, connection: Connection, tenant: str, job: str) -> None:
        """Before the queue forgets a job, its end is written down here."""
        mine = (tables.models.c.tenant == tenant) & (tables.models.c.job == job)
        text = connection.scalar(select(tables.models.c.value).where(mine))
        if text is not None:
            custom_models.update(connection, seen(connection, custom_models.read(text)))


def seen(connection: Connection, kept: CustomModel) -> CustomModel:
    """The row; one whose job broke down without a word has failed."""
    if kept.status != "creating":
        return kept
    query = select(queue.c.status, queue.c.error).where(is_job(kept.tenant, kept.job))
    row = connection.execute(query).one_or_none()
    if row is None or row.status in {"failed", "cancelled"}:
        return replace(kept, status="failed", failure=row.error if row is not None else "Its job is gone.")
    return kept


def usable(connection: Connection, tenant: str, identifier: str) -> CustomModel:
    """One that can be served. Raises NotFound, Conflict."""
    found = seen(connection, custom_models.find(connection, tenant, identifier))
    if found.status != "active":
        raise Conflict(
            "custom model", found.name, f"it cannot be served: it is {found.status}. {found.failure}".strip()
        )
    return found
