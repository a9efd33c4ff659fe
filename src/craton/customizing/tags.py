"""Tags of resources: kept and given back. Nothing is decided by them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, insert, select

from craton.core.errors import TooLarge
from craton.customizing.tables import tags
from craton.store.database import Database

MAX_TAGS = 50


class Tags:
    """resource: "custom-model/ID"; whoever calls has asked whether there is one. Coroutines, but for `put` and
    `drop`, which work in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, tenant: str, resource: str) -> dict[str, str]:
        return await asyncio.to_thread(self._list, tenant, resource)

    async def add(self, tenant: str, resource: str, new: Mapping[str, str]) -> None:
        """Raises TooLarge."""
        await asyncio.to_thread(self._add, tenant, resource, new)

    async def remove(self, tenant: str, resource: str, keys: Collection[str]) -> None:
        await asyncio.to_thread(self._remove, tenant, resource, keys)

    @staticmethod
    def put(connection: Connection, tenant: str, resource: str, new: Mapping[str, str]) -> None:
        """Raises TooLarge."""
        mine = (tags.c.tenant == tenant) & (tags.c.resource == resource)
        kept = set(connection.scalars(select(tags.c.key).where(mine))) - new.keys()
        if len(kept) + len(new) > MAX_TAGS:
            raise TooLarge("The resource's tags", MAX_TAGS, len(kept) + len(new), "tags")
        if new:
            connection.execute(delete(tags).where(mine, tags.c.key.in_(new)))
            rows = [{"tenant": tenant, "resource": resource, "key": key, "value": new[key]} for key in new]
            connection.execute(insert(tags), rows)

    @staticmethod
    def drop(connection: Connection, tenant: str, resource: str) -> None:
        connection.execute(delete(tags).where(tags.c.tenant == tenant, tags.c.resource == resource))

    def _list(self, tenant: str, resource: str) -> dict[str, str]:
        mine = (tags.c.tenant == tenant) & (tags.c.resource == resource)
        with self._database.read() as connection:
            rows = connection.execute(select(tags.c.key, tags.c.value).where(mine).order_by(tags.c.key))
            return {row.key: row.value for row in rows}

    def _add(self, tenant: str, resource: str, new: Mapping[str, str]) -> None:
        with self._database.write() as connection:
            self.put(connection, tenant, resource, new)

    def _remove(self, tenant: str, resource: str, keys: Collection[str]) -> None:
        mine = (tags.c.tenant == tenant) & (tags.c.resource == resource)
        with self._database.write() as connection:
            connection.execute(delete(tags).where(mine, tags.c.key.in_(list(keys))))
