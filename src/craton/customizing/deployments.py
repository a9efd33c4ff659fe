"""Deployments as their owners see them: a name under which a custom model answers, on demand.

A row is enough to be asked for; `tending` makes a new one answer once before it is called active.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import Conflict, NotFound
from craton.customizing import tables
from craton.customizing.models import usable
from craton.customizing.rows import Listing, custom_models, deployments, new_id
from craton.customizing.tags import Tags
from craton.customizing.values import CustomModel, Deployment, Update
from craton.knowledge.tokens import Token
from craton.store.database import Database

_SEEN = {"active": ("active", "updating")}


class NewDeployment(Struct, frozen=True):
    """model: a custom model's id or name."""

    name: str
    model: str
    description: str = ""
    tags: dict[str, str] = {}


class Deployed(Struct, frozen=True):
    """A deployment beside the model that it serves, and the one that its last update asked for. None: it is gone."""

    deployment: Deployment
    model: CustomModel
    updating: CustomModel | None = None


class Deployments:
    """Coroutines. changed: is called when a row changed, in any thread. clock: seconds since the epoch."""

    def __init__(self, database: Database, changed: Callable[[], None], clock: Callable[[], float]) -> None:
        self._database, self._changed, self._clock = database, changed, clock

    async def create(self, tenant: str, new: NewDeployment, token: str = "") -> Deployment:
        """Raises NotFound for the model; Conflict when the name is in use, or the model cannot be served."""
        once = Token(tenant, "CreateCustomModelDeployment", token, new, self._clock())
        made = await asyncio.to_thread(self._create, tenant, new, once)
        self._changed()
        return made

    async def get(self, tenant: str, identifier: str) -> Deployed:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def update(self, tenant: str, identifier: str, model: str) -> Deployment:
        """The other model takes its place when it has answered once; until then the present one answers.

        Raises NotFound; Conflict while it is being made or updated, or when the model cannot be served."""
        updated = await asyncio.to_thread(self._update, tenant, identifier, model)
        self._changed()
        return updated

    async def delete(self, tenant: str, identifier: str) -> None:
        """Raises NotFound."""
        await asyncio.to_thread(self._delete, tenant, identifier)
        self._changed()

    def _create(self, tenant: str, new: NewDeployment, token: Token) -> Deployment:
        now = self._clock()
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return deployments.find(connection, tenant, known)
            model = usable(connection, tenant, new.model)
            made = Deployment(new_id(), tenant, new.name, model.id, "creating", now, now, new.description)
            deployments.insert(connection, made)
            Tags.put(connection, tenant, f"custom-model-deployment/{made.id}", new.tags)
            token.remember(connection, made.id)
        return made

    def _get(self, tenant: str, identifier: str) -> Deployed:
        with self._database.read() as connection:
            found = deployments.find(connection, tenant, identifier)
            updating = None
            with suppress(NotFound):  # an update that failed keeps no model
                updating = custom_models.find(connection, tenant, found.update.model) if found.update else None
            return Deployed(found, custom_models.find(connection, tenant, found.model), updating)

    def _list(self, tenant: str, listing: Listing, model: str) -> tuple[list[Deployed], str]:
        table = tables.deployments.c
        conditions = [table.model == model] if model else []
        if listing.status:
            conditions.append(table.status.in_(_SEEN.get(listing.status, (listing.status,))))
        with self._database.read() as connection:
            rows = connection.execute(deployments.listed(tenant, listing, *conditions))
            page, cursor = deployments.paged([deployments.read(row.value) for row in rows], listing)
            return [Deployed(one, custom_models.find(connection, tenant, one.model)) for one in page], cursor

    async def list(self, tenant: str, listing: Listing, model: str = "") -> tuple[list[Deployed], str]:
        """model: only those of the custom model with this id."""
        return await asyncio.to_thread(self._list, tenant, listing, model)

    def _update(self, tenant: str, identifier: str, model: str) -> Deployment:
        with self._database.write() as connection:
            found = deployments.find(connection, tenant, identifier)
            if found.status != "active":
                raise Conflict("custom model deployment", found.name, "it can be updated when it is active")
            other = usable(connection, tenant, model)
            updated = replace(found, status="updating", updated=self._clock(), update=Update(other.id, "updating"))
            deployments.update(connection, updated)
        return updated

    def _delete(self, tenant: str, identifier: str) -> None:
        with self._database.write() as connection:
            found = deployments.find(connection, tenant, identifier)
            deployments.delete(connection, found)
            Tags.drop(connection, tenant, f"custom-model-deployment/{found.id}")
