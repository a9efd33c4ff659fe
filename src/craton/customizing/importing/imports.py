"""Import jobs and imported models as their owners see them."""

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
from craton.customizing.importing import tables
from craton.customizing.importing.rows import import_jobs, imported_models
from craton.customizing.importing.values import ImportedModel, ImportJob
from craton.customizing.rows import Listing, new_id
from craton.customizing.tags import Tags
from craton.hub.repositories import Hub
from craton.jobs.queue import Jobs
from craton.jobs.rows import is_job
from craton.jobs.rows import table as queue
from craton.knowledge.tokens import Token

KIND = "import-model"
JobPage = tuple[list[ImportJob], str]
ModelPage = tuple[list[ImportedModel], str]
"""And where the next one begins, "" at the end."""
NAMESPACE = "imported"
"""Of the repositories that hold imported models."""


class NewImport(Struct, frozen=True):
    """See `values.ImportJob`. model_tags: of the model that it makes."""

    name: str
    output: str
    source: str
    tags: dict[str, str] = {}
    model_tags: dict[str, str] = {}
    extra: Json = {}


class Imports:
    """Coroutines. forget: names of models are asked anew. clock: seconds since the epoch."""

    def __init__(self, hub: Hub, jobs: Jobs, forget: Callable[[], None], clock: Callable[[], float]) -> None:
        self._hub, self._jobs, self._forget, self._clock = hub, jobs, forget, clock
        self._database = hub.database
        jobs.forgetting(self._keep)

    async def create(self, tenant: str, new: NewImport, token: str = "") -> ImportJob:
        """Raises Conflict when a name is in use."""
        once = Token(tenant, "CreateModelImportJob", token, new, self._clock())
        return await asyncio.to_thread(self._create, tenant, new, once)

    async def get(self, tenant: str, identifier: str) -> ImportJob:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def list(self, tenant: str, listing: Listing) -> JobPage:
        return await asyncio.to_thread(self._list, tenant, listing)

    async def model(self, tenant: str, identifier: str) -> ImportedModel:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._model, tenant, identifier)

    async def models(self, tenant: str, listing: Listing) -> ModelPage:
        return await asyncio.to_thread(self._models, tenant, listing)

    async def delete(self, tenant: str, identifier: str) -> None:
        """The model's row, and the repository behind it. Raises NotFound."""
        await asyncio.to_thread(self._delete, tenant, identifier)
        self._forget()

    def _create(self, tenant: str, new: NewImport, token: Token) -> ImportJob:
        id, now = new_id(), self._clock()
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return seen(connection, import_jobs.find(connection, tenant, known))
            _refuse_taken(connection, tenant, new.output)
            subject = f"{new.source} -> {NAMESPACE}/{new.output}"
            job = self._jobs.submit(connection, JobSpec(tenant, KIND, {"import": id}, subject))
            extra = {**new.extra, "modelTags": new.model_tags}
            made = ImportJob(
                id,
                tenant,
                new.name,
                job.id,
                new.output,
                new.source,
                "in_progress",
                now,
                now,
                tags=new.tags,
                extra=extra,
            )
            import_jobs.insert(connection, made)
            Tags.put(connection, tenant, f"model-import-job/{id}", new.tags)
            token.remember(connection, id)
        return made

    def _get(self, tenant: str, identifier: str) -> ImportJob:
        with self._database.read() as connection:
            return seen(connection, import_jobs.find(connection, tenant, identifier))

    def _list(self, tenant: str, listing: Listing) -> JobPage:
        conditions = [tables.jobs.c.status == listing.status] if listing.status else []
        with self._database.read() as connection:
            rows = connection.execute(import_jobs.listed(tenant, listing, *conditions))
            page, cursor = import_jobs.paged([import_jobs.read(row.value) for row in rows], listing)
            return [seen(connection, one) for one in page], cursor

    def _model(self, tenant: str, identifier: str) -> ImportedModel:
        with self._database.read() as connection:
            return imported_models.find(connection, tenant, identifier)

    def _models(self, tenant: str, listing: Listing) -> ModelPage:
        with self._database.read() as connection:
            rows = connection.execute(imported_models.listed(tenant, listing))
            return imported_models.paged([imported_models.read(row.value) for row in rows], listing)

    def _delete(self, tenant: str, identifier: str) -> None:
        with self._database.write() as connection:
            found = imported_models.find(connection, tenant, identifier)
            imported_models.delete(connection, found)
            Tags.drop(connection, tenant, f"imported-model/{found.id}")
        namespace, _, name = found.repo.partition("/")
        with suppress(NotFound):
            self._hub.delete(tenant, RepoId("model", namespace, name))

    def _keep(self, connection: Connection, tenant: str, job: str) -> None:
        """Before the queue forgets a job, its end is written down here."""
        mine = (tables.jobs.c.tenant == tenant) & (tables.jobs.c.job == job)
        text = connection.scalar(select(tables.jobs.c.value).where(mine))
        if text is not None:
            import_jobs.update(connection, seen(connection, import_jobs.read(text)))


def seen(connection: Connection, kept: ImportJob) -> ImportJob:
    """The row; one whose job broke down without a word has failed."""
    if kept.status != "in_progress":
        return kept
    query = select(queue.c.status, queue.c.error, queue.c.ended).where(is_job(kept.tenant, kept.job))
    row = connection.execute(query).one_or_none()
    if row is None or row.status in {"failed", "cancelled"}:
        failure = row.error if row is not None and row.error else "Its job was stopped, or is gone."
        ended = row.ended if row is not None else kept.updated
        return replace(kept, status="failed", failure=failure, ended=ended, updated=ended or kept.updated)
    return kept


def _refuse_taken(connection: Connection, tenant: str, name: str) -> None:
    """Raises Conflict when an imported model has this name, or a job is bringing one of this name."""
    made, models = tables.jobs.c, tables.models.c
    there = select(models.id).where(models.tenant == tenant, models.name == name)
    coming = select(tables.jobs.c.value).where(made.tenant == tenant, made.output == name, made.status == "in_progress")
    running = any(
        seen(connection, import_jobs.read(text)).status == "in_progress" for text in connection.scalars(coming)
    )
    if running or connection.scalar(there) is not None:
        raise Conflict("imported model", name, "the name is in use already; choose another one")
