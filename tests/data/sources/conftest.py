"""What sources need, real and local."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from craton.access.outgoing import outgoing
from craton.buckets.buckets import Buckets
from craton.core.errors import NotFound
from craton.core.knowledge import SourceSpec
from craton.data.documents import Item, Source
from craton.data.sources import Sources
from craton.data.sources.http import Patience
from craton.hub.repositories import Hub
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.data.sources.sites import Site, site
from tests.migrated import upgrade

TENANT = "acme"
QUICK = Patience(connect=5.0, silence=1.0, page=3.0, document=3.0)


async def no_sleep(_seconds: float) -> None:
    """Politeness and patience cost tests no time."""


@pytest.fixture
async def web() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


@pytest.fixture
async def client(web: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Reaches that one server and nothing else."""
    async with outgoing([web.url]) as made:
        yield made


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Database]:
    database = Database.at(tmp_path / "home" / "craton.db")
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def hub(rows: Database, tmp_path: Path) -> Hub:
    return Hub(rows, FolderBlobs(tmp_path / "home" / "blobs"), lambda: 1_700_000_000.0)


@pytest.fixture
def buckets(rows: Database, tmp_path: Path) -> Buckets:
    return Buckets(rows, tmp_path / "home", lambda name: "")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


Databases = dict[str, str]


@pytest.fixture
def databases() -> Databases:
    """Registered databases: tests add theirs."""
    return {}


@pytest.fixture
def sources(client: httpx.AsyncClient, hub: Hub, buckets: Buckets, docs: Path, databases: Databases) -> Sources:
    def database(tenant: str, name: str) -> str:
        del tenant
        if name not in databases:
            raise NotFound("database", name)
        return databases[name]

    return Sources(
        client=lambda: client,
        databases=database,
        secret=lambda tenant, name: f"secret-of-{tenant}-{name}",
        hub=hub,
        buckets=buckets,
        allowed_folders=[docs],
        patience=QUICK,
        sleep=no_sleep,
    )


@pytest.fixture
async def opened(sources: Sources) -> AsyncIterator[Callable[[SourceSpec], object]]:
    """Opens sources that are closed at the end."""
    held: list[Source] = []

    async def open_(spec: SourceSpec) -> Source:
        held.append(await sources.open(spec, TENANT))
        return held[-1]

    yield open_
    for source in held:
        await source.close()


async def listed(source: Source, cursor: str | None = None) -> dict[str, Item]:
    """By key; every key comes once."""
    found: dict[str, Item] = {}
    async for item in source.list(cursor):
        assert item.key not in found
        found[item.key] = item
    return found


async def keys(source: Source, cursor: str | None = None) -> Sequence[str]:
    return sorted(await listed(source, cursor))
