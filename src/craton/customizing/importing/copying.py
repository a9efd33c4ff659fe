"""Copies of custom models: under a second name, in a repository of their own, so that the original may go.

Its files are kept once, by digest: a copy costs rows, is done when it is asked for, and needs no job of the queue. A
region is a word in an ARN here. Between accounts nothing is copied: what is somebody else's looks absent; its owner
shares the repository, and CreateCustomModel brings it in from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from craton.core.chat import Json
from craton.core.errors import Conflict
from craton.core.repo import Add, RepoId
from craton.customizing.customizations import NAMESPACE, refuse_taken
from craton.customizing.importing import tables
from craton.customizing.importing.rows import copies
from craton.customizing.importing.values import CopyJob
from craton.customizing.models import usable
from craton.customizing.rows import Listing, custom_models, new_id
from craton.customizing.tags import Tags
from craton.hub.repositories import HEAD, Hub
from craton.knowledge.tokens import Token

AUTHOR = "craton"
Page = tuple[list[CopyJob], str]
"""And where the next one begins, "" at the end."""


class Copies:
    """Coroutines. clock: seconds since the epoch."""

    def __init__(self, hub: Hub, clock: Callable[[], float]) -> None:
        self._hub, self._database, self._clock = hub, hub.database, clock

    async def create(
        self, tenant: str, source: str, name: str, tags: dict[str, str], extra: Json, token: str = ""
    ) -> CopyJob:
        """source: a custom model's id or name. Raises NotFound, Conflict."""
        once = Token(tenant, "CreateModelCopyJob", token, [source, name, tags, extra], self._clock())
        return await asyncio.to_thread(self._create, tenant, source, name, tags, extra, once)

    async def get(self, tenant: str, identifier: str) -> CopyJob:
        """Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def list(self, tenant: str, listing: Listing, source: str = "") -> Page:
        """source: a custom model's id, "" for any."""
        return await asyncio.to_thread(self._list, tenant, listing, source)

    def _create(
        self, tenant: str, identifier: str, name: str, tags: dict[str, str], extra: Json, token: Token
    ) -> CopyJob:
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return copies.find(connection, tenant, known)
            source = usable(connection, tenant, identifier)
            refuse_taken(connection, tenant, name)
        repo = RepoId("model", NAMESPACE, name)
        with suppress(Conflict):
            self._hub.create(tenant, repo, private=True)
        files = self._hub.tree(tenant, RepoId("model", *source.repo.split("/", 1)), source.revision)
        operations = [Add(entry.path, entry.digest, entry.size, large=entry.large) for entry in files]
        message = f"Copied from {source.repo}@{source.revision}"
        revision = self._hub.commit(tenant, repo, "main", HEAD, operations, message, AUTHOR).id
        now = self._clock()
        with self._database.write() as connection:
            refuse_taken(connection, tenant, name)
            model = replace(
                source, id=new_id(), name=name, created=now, repo=repo.path, revision=revision, job="", source=message
            )
            custom_models.insert(connection, model)
            Tags.put(connection, tenant, f"custom-model/{model.id}", tags)
            job = CopyJob(
                new_id(), tenant, name, source.id, source.name, "completed", now, model.id, tags=tags, extra=extra
            )
            copies.insert(connection, job)
            token.remember(connection, job.id)
        return job

    def _get(self, tenant: str, identifier: str) -> CopyJob:
        with self._database.read() as connection:
            return copies.find(connection, tenant, identifier)

    def _list(self, tenant: str, listing: Listing, source: str) -> Page:
        conditions = [tables.copies.c.source == source] if source else []
        if listing.status:
            conditions.append(tables.copies.c.status == listing.status)
        with self._database.read() as connection:
            rows = connection.execute(copies.listed(tenant, listing, *conditions))
            return copies.paged([copies.read(row.value) for row in rows], listing)
