"""Provisioned throughput as its owners see it: a model that is loaded and stays so, with a capacity of its own.

A unit is as many requests at once as the operator lets the model's engine run. Commitments are kept and given back;
nothing follows from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from craton.core.chat import Json
from craton.core.errors import Conflict, InvalidRequest
from craton.core.model import ModelInfo
from craton.customizing import tables
from craton.customizing.models import usable
from craton.customizing.rows import Listing, custom_models, new_id, throughputs
from craton.customizing.tags import Tags
from craton.customizing.values import CustomModel, Throughput
from craton.knowledge.tokens import Token
from craton.serve.loading import IN_WORKERS
from craton.store.database import Database

MAX_UNITS = 64
SCALED = frozenset({"llama_cpp"})
"""Engines whose requests at once can be set."""

Find = Callable[[str, str], Awaitable[ModelInfo]]
"""(tenant, name) -> the model. Raises NotFound."""


def can_be_provisioned(info: ModelInfo) -> bool:
    """Whether it is loaded here at all."""
    return info.engine in IN_WORKERS and bool(info.verbs)


class Wanted(Struct, frozen=True):
    """custom: a custom model's id or name; or base: a foundation model's name."""

    custom: str = ""
    base: str = ""


class NewThroughput(Struct, frozen=True):
    name: str
    model: Wanted
    units: int
    tags: dict[str, str] = {}
    extra: Json = {}


class Provisioned(Struct, frozen=True):
    """A throughput beside the custom models that it serves and is to serve; None for foundation models."""

    throughput: Throughput
    model: CustomModel | None
    desired: CustomModel | None


class Throughputs:
    """Coroutines. find: a foundation model. changed: is called when a row changed. clock: seconds since the epoch."""

    def __init__(self, database: Database, find: Find, changed: Callable[[], None], clock: Callable[[], float]) -> None:
        self._database, self._find, self._changed, self._clock = database, find, changed, clock

    async def create(self, tenant: str, new: NewThroughput, token: str = "") -> Throughput:
        """Raises NotFound for the model, Conflict when the name is in use, InvalidRequest for too many units."""
        once = Token(tenant, "CreateProvisionedModelThroughput", token, new, self._clock())
        custom, base = await self._resolved(tenant, new.model, new.units)
        made = await asyncio.to_thread(self._create, tenant, new, custom, base, once)
        self._changed()
        return made

    async def get(self, tenant: str, identifier: str) -> Provisioned:
        """By id or name. Raises NotFound."""
        return await asyncio.to_thread(self._get, tenant, identifier)

    async def update(self, tenant: str, identifier: str, name: str = "", model: Wanted | None = None) -> Throughput:
        """Another name, and another model that takes the present one's place once it has answered.

        Raises NotFound; Conflict for a name in use, or while it is not in service."""
        found = (await self.get(tenant, identifier)).throughput
        custom, base = ("", "") if model is None else await self._resolved(tenant, model, found.units)
        updated = await asyncio.to_thread(self._update, tenant, found.id, name, custom, base)
        self._changed()
        return updated

    async def delete(self, tenant: str, identifier: str) -> None:
        """Its model may be unloaded then. Raises NotFound."""
        await asyncio.to_thread(self._delete, tenant, identifier)
        self._changed()

    async def _resolved(self, tenant: str, wanted: Wanted, units: int) -> tuple[str, str]:
        """The custom model's id, or the foundation model's name with its revision."""
        if not 1 <= units <= MAX_UNITS:
            raise InvalidRequest(f"must be from 1 to {MAX_UNITS}", "modelUnits")
        custom = await asyncio.to_thread(self._usable, tenant, wanted.custom) if wanted.custom else None
        info = await self._find(tenant, f"{custom.repo}@{custom.revision}" if custom is not None else wanted.base)
        if not can_be_provisioned(info):
            raise InvalidRequest(f"{info.id} is not loaded on this machine, so nothing can be kept for it", "modelId")
        if units > 1 and info.engine not in SCALED:
            raise InvalidRequest(f"{info.id} runs on an engine whose capacity is fixed; ask for 1", "modelUnits")
        if custom is not None:
            return custom.id, ""
        return "", f"{info.id}@{info.revision}" if info.revision else info.id

    def _usable(self, tenant: str, custom: str) -> CustomModel:
        with self._database.read() as connection:
            return usable(connection, tenant, custom)

    def _create(self, tenant: str, new: NewThroughput, custom: str, base: str, token: Token) -> Throughput:
        now = self._clock()
        with self._database.write() as connection:
            if (known := token.known(connection)) is not None:
                return throughputs.find(connection, tenant, known)
            made = Throughput(
                new_id(), tenant, new.name, custom, base, new.units, "creating", now, now, extra=new.extra
            )
            throughputs.insert(connection, made)
            Tags.put(connection, tenant, f"provisioned-model/{made.id}", new.tags)
            token.remember(connection, made.id)
        return made

    def _get(self, tenant: str, identifier: str) -> Provisioned:
        with self._database.read() as connection:
            found = throughputs.find(connection, tenant, identifier)
            pair = [custom_models.find(connection, tenant, id) if id else None for id in (found.model, found.desired)]
        return Provisioned(found, *pair)

    def _list(self, tenant: str, listing: Listing, model: str) -> tuple[list[Provisioned], str]:
        table = tables.throughputs.c
        conditions = [table.model == model] if model else []
        if listing.status:
            conditions.append(table.status == listing.status)
        with self._database.read() as connection:
            rows = connection.execute(throughputs.listed(tenant, listing, *conditions))
            page, cursor = throughputs.paged([throughputs.read(row.value) for row in rows], listing)
            found = []
            for one in page:
                pair = [custom_models.find(connection, tenant, id) if id else None for id in (one.model, one.desired)]
                found.append(Provisioned(one, *pair))
        return found, cursor

    async def list(self, tenant: str, listing: Listing, model: str = "") -> tuple[list[Provisioned], str]:
        """model: only those of the custom model with this id."""
        return await asyncio.to_thread(self._list, tenant, listing, model)

    def _update(self, tenant: str, id: str, name: str, custom: str, base: str) -> Throughput:
        with self._database.write() as connection:
            found = throughputs.find(connection, tenant, id)
            if found.status != "active":
                raise Conflict(
                    "provisioned throughput", found.name, f"it is {found.status}; it can be updated in service"
                )
            taken = (tables.throughputs.c.tenant == tenant) & (tables.throughputs.c.name == name)
            if name and name != found.name and throughputs.every(connection, taken):
                raise Conflict("provisioned throughput", name, "the name is in use already; choose another one")
            updated = replace(found, name=name or found.name, updated=self._clock(), failure="")
            if (custom or base) and (custom, base) != (found.model, found.base):
                updated = replace(updated, status="updating", desired=custom, desired_base=base)
            throughputs.update(connection, updated)
        return updated

    def _delete(self, tenant: str, identifier: str) -> None:
        with self._database.write() as connection:
            found = throughputs.find(connection, tenant, identifier)
            throughputs.delete(connection, found)
            Tags.drop(connection, tenant, f"provisioned-model/{found.id}")
