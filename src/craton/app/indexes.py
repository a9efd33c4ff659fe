"""Where indexes can live: the embedded one, and the servers that the operator registered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from craton.access.tenants import DEFAULT_TENANT
from craton.app.databases import Databases
from craton.app.platform import Platform
from craton.index.edge import EdgeIndexes
from craton.index.protocol import Index, Indexes, IndexSpec

if TYPE_CHECKING:
    import httpx


def index_places(platform: Platform, client: Callable[[], httpx.AsyncClient]) -> dict[str, Indexes]:
    """By the names that `knowledge.places.place` gives: "edge", "postgres:NAME" (and by its ARN), "qdrant:NAME";
    without a name where there is only one."""
    places: dict[str, Indexes] = {"edge": EdgeIndexes(platform.home.indexes)}
    settings, databases = platform.settings, Databases(platform)

    def postgres(name: str) -> Callable[[], Awaitable[Indexes]]:
        async def connect() -> Indexes:
            from craton.index.postgres.indexes import PostgresIndexes

            return PostgresIndexes(await asyncio.to_thread(databases.operators_url, name))

        return connect

    def qdrant(url: str, credential: str) -> Callable[[], Awaitable[Indexes]]:
        async def connect() -> Indexes:
            from craton.index.qdrant.indexes import QdrantIndexes

            key = await asyncio.to_thread(platform.vault.get, DEFAULT_TENANT, credential) if credential else ""
            return QdrantIndexes(url, client(), key)

        return connect

    for name, database in settings.databases.items():
        if database.indexes:
            place = _Later(postgres(name))
            places |= {f"postgres:{spelling}": place for spelling in (name, database.arn) if spelling}
    for name, server in settings.qdrant.items():
        places[f"qdrant:{name}"] = _Later(qdrant(server.url, server.credential))
    return places | _only_ones(places)


def _only_ones(places: dict[str, Indexes]) -> dict[str, Indexes]:
    found = {}
    for kind in ("postgres", "qdrant"):
        known = {id(place): place for name, place in places.items() if name.startswith(f"{kind}:")}
        if len(known) == 1:
            found[kind] = next(iter(known.values()))
    return found


class _Later:
    """Connects at the first use: a server that is down must not keep this one from starting."""

    def __init__(self, connect: Callable[[], Awaitable[Indexes]]) -> None:
        self._connect = connect
        self._lock = asyncio.Lock()
        self._place: Indexes | None = None

    async def open(self, spec: IndexSpec) -> Index:
        return await (await self._connected()).open(spec)

    async def drop(self, spec: IndexSpec) -> None:
        await (await self._connected()).drop(spec)

    async def close(self) -> None:
        if self._place is not None:
            await self._place.close()

    async def _connected(self) -> Indexes:
        async with self._lock:
            if self._place is None:
                self._place = await self._connect()
            return self._place
