"""Where indexes can live: the embedded one, and the servers that the operator registered.

Places are named as `knowledge.places.place` names them: "edge", "postgres:NAME" (and by its ARN), "qdrant:NAME";
"postgres" and "qdrant" alone where there is only one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from craton.access.tenants import DEFAULT_TENANT
from craton.app.config import Settings
from craton.app.databases import Databases, is_given
from craton.app.platform import Platform
from craton.core.errors import InvalidRequest
from craton.core.knowledge import KnowledgeBase
from craton.index.edge import EdgeIndexes
from craton.index.protocol import Index, Indexes, IndexSpec
from craton.knowledge.places import place

if TYPE_CHECKING:
    import httpx


def index_places(platform: Platform, client: Callable[[], httpx.AsyncClient]) -> dict[str, Indexes]:
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

    for name, spellings in _postgres(settings):
        places |= dict.fromkeys(spellings, _Later(postgres(name)))
    for name, spellings in _qdrant(settings):
        server = settings.qdrant[name]
        places |= dict.fromkeys(spellings, _Later(qdrant(server.url, server.credential)))
    return places


def check_place(settings: Settings, base: KnowledgeBase) -> None:
    """Raises InvalidRequest, with the next step, for an index that cannot live where it should, or not for this
    tenant."""
    usable = {"edge"}
    for name, spellings in _postgres(settings):
        if is_given(settings.databases[name], base.tenant):
            usable |= set(spellings)
    for _, spellings in _qdrant(settings):
        usable |= set(spellings)
    if place(base) not in usable:
        raise InvalidRequest(
            f"there is no index {place(base)!r}; there is: {', '.join(sorted(usable))}. The operator registers servers "
            "in config.toml: [databases.NAME] with indexes = true (and its arn), or [qdrant.NAME]",
            "storage",
        )


def _postgres(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    """Each database that may hold indexes, and the names of its place."""
    names = [name for name, database in settings.databases.items() if database.indexes]
    for name in names:
        known = [f"postgres:{spelling}" for spelling in (name, settings.databases[name].arn) if spelling]
        yield name, [*known, *(["postgres"] if len(names) == 1 else [])]


def _qdrant(settings: Settings) -> Iterator[tuple[str, list[str]]]:
    for name in settings.qdrant:
        yield name, [f"qdrant:{name}", *(["qdrant"] if len(settings.qdrant) == 1 else [])]


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
