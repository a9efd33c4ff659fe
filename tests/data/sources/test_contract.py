"""One contract, held against every kind of source over the real thing it reads."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from craton.buckets.buckets import Buckets
from craton.core.errors import CratonError, NotFound, TooLarge
from craton.core.knowledge import SourceSpec
from craton.core.repo import Add, Delete, RepoId
from craton.data.documents import Source
from craton.data.sources import Sources
from craton.data.sources.direct import PendingDocument
from craton.data.sources.sql import connection_arguments
from craton.hub.repositories import Hub
from tests.data.sources.conftest import TENANT, Databases, listed
from tests.data.sources.sites import Page, Site

pytestmark = pytest.mark.anyio

LIMIT = 1_000_000


class World(ABC):
    """Documents named one, two, three ..., whatever they are."""

    spec: SourceSpec
    whole = True  # a listing holds everything

    @abstractmethod
    async def put(self, name: str, text: str) -> None: ...

    @abstractmethod
    async def remove(self, name: str) -> None: ...

    @abstractmethod
    def key(self, name: str) -> str: ...

    async def open(self, sources: Sources) -> Source:
        return await sources.open(self.spec, TENANT)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Lets go of what it holds, if anything."""


class FolderWorld(World):
    def __init__(self, folder: Path) -> None:
        self.folder, self.spec = folder, SourceSpec("folder", {"path": str(folder)})

    async def put(self, name: str, text: str) -> None:
        (self.folder / "sub").mkdir(exist_ok=True)
        (self.folder / self.key(name)).write_text(text)

    async def remove(self, name: str) -> None:
        (self.folder / self.key(name)).unlink()

    def key(self, name: str) -> str:
        return f"sub/{name}.txt"


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


class BucketWorld(World):
    def __init__(self, buckets: Buckets) -> None:
        self.buckets, self.spec = buckets, SourceSpec("bucket", {"bucket": "papers", "prefixes": ["in/"]})
        buckets.create(TENANT, "papers")

    async def put(self, name: str, text: str) -> None:
        await self.buckets.write(TENANT, "papers", self.key(name), one(text.encode()))

    async def remove(self, name: str) -> None:
        await (await self.buckets.store(TENANT, "papers")).delete(self.key(name))

    def key(self, name: str) -> str:
        return f"in/{name}.txt"


class WebWorld(World):
    def __init__(self, site: Site) -> None:
        self.site, self.spec = site, SourceSpec("web", {"seeds": [f"{site.url}/"]})
        self.names: set[str] = set()
        self._index()

    def _index(self) -> None:
        self.site.html("/", *sorted(self.names), head='<meta name="robots" content="noindex">')

    async def put(self, name: str, text: str) -> None:
        self.names.add(name)
        self.site.html(f"/{name}", text=text)
        self._index()

    async def remove(self, name: str) -> None:
        self.names.discard(name)
        del self.site.pages[f"/{name}"]
        self._index()

    def key(self, name: str) -> str:
        return f"{self.site.url}/{name}"


class SqlWorld(World):
    def __init__(self, url: str) -> None:
        self.spec = SourceSpec("sql", {"database": "shop", "table": "notes", "key": ["name"], "text": ["body"]})
        self.connection = psycopg.connect(autocommit=True, **connection_arguments(url))
        self.connection.execute("CREATE TABLE notes (name text PRIMARY KEY, body text, added int DEFAULT 1)")

    async def put(self, name: str, text: str) -> None:
        self.connection.execute(
            "INSERT INTO notes (name, body) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            (name, text),
        )

    async def remove(self, name: str) -> None:
        self.connection.execute("DELETE FROM notes WHERE name = %s", (name,))

    def key(self, name: str) -> str:
        return name

    def close(self) -> None:
        self.connection.close()


class ApiWorld(World):
    def __init__(self, site: Site) -> None:
        self.site, self.records = site, dict[str, str]()
        paging = {"kind": "page", "parameter": "page"}
        options = {"url": f"{site.url}/items", "items": "/data", "text": ["/body"], "pagination": paging}
        self.spec = SourceSpec("api", options)
        self._write()

    def _write(self) -> None:
        records = [{"id": name, "body": text} for name, text in self.records.items()]
        for number in range(1, len(records) + 2):
            body = json.dumps({"data": records[number - 1 : number]}).encode()
            self.site.pages[f"/items?page={number}"] = Page(body)

    async def put(self, name: str, text: str) -> None:
        self.records[name] = text
        self._write()

    async def remove(self, name: str) -> None:
        del self.records[name]
        self._write()

    def key(self, name: str) -> str:
        return name


class HubWorld(World):
    repo = RepoId("dataset", "acme", "manuals")
    rows = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.head: str | None = None
        self.spec = SourceSpec("hub", {"repo": "acme/manuals", "include": ["*.txt"]})
        hub.create(TENANT, self.repo)

    def commit(self, *operations: Add | Delete) -> None:
        self.head = self.hub.commit(TENANT, self.repo, "main", self.head, operations, "change", "ann").id

    def add(self, path: str, data: bytes) -> None:
        file = self.hub.store(TENANT, [data], len(data))
        self.commit(Add(path, file.digest, file.size))

    async def put(self, name: str, text: str) -> None:
        self.add(self.key(name), text.encode())

    async def remove(self, name: str) -> None:
        self.commit(Delete(self.key(name)))

    def key(self, name: str) -> str:
        return f"{name}.txt"


class RowsWorld(HubWorld):
    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.texts: dict[str, str] = {}
        self.spec = SourceSpec("hub", {"repo": "acme/manuals", "rows": True, "key": ["name"], "text": ["body"]})

    def _write(self) -> None:
        lines = [json.dumps({"name": name, "body": text}) for name, text in self.texts.items()]
        self.add("all.jsonl", "\n".join(lines).encode())

    async def put(self, name: str, text: str) -> None:
        self.texts[name] = text
        self._write()

    async def remove(self, name: str) -> None:
        del self.texts[name]
        self._write()

    def key(self, name: str) -> str:
        return f"all.jsonl#{name}"


class DirectWorld(World):
    whole = False

    def __init__(self, hub: Hub) -> None:
        self.blobs, self.spec = hub.blobs, SourceSpec("direct")
        self.documents: dict[str, PendingDocument] = {}

    async def put(self, name: str, text: str) -> None:
        self.documents[name] = PendingDocument(name, self.blobs.put([text.encode()]).digest, len(text), f"{name}.txt")

    async def remove(self, name: str) -> None:
        self.documents[name] = PendingDocument(name, deleted=True)

    def key(self, name: str) -> str:
        return name

    async def list(self) -> AsyncIterator[PendingDocument]:
        for document in [*self.documents.values()]:
            yield document

    async def get(self, key: str) -> PendingDocument | None:
        return self.documents.get(key)

    async def open(self, sources: Sources) -> Source:
        return await sources.open(self.spec, TENANT, self)


@pytest.fixture(params=["folder", "bucket", "web", "sql", "api", "hub", "rows", "direct"])
def world(
    request: pytest.FixtureRequest, docs: Path, buckets: Buckets, web: Site, hub: Hub, databases: Databases
) -> Iterator[World]:
    match request.param:
        case "folder":
            made: World = FolderWorld(docs)
        case "bucket":
            made = BucketWorld(buckets)
        case "web":
            made = WebWorld(web)
        case "sql":
            databases["shop"] = request.getfixturevalue("postgres_url")
            made = SqlWorld(databases["shop"])
        case "api":
            made = ApiWorld(web)
        case "hub":
            made = HubWorld(hub)
        case "rows":
            made = RowsWorld(hub)
        case _:
            made = DirectWorld(hub)
    yield made
    made.close()


async def test_listing_twice_gives_the_same(world: World, sources: Sources) -> None:
    for name in ("one", "two", "three"):
        await world.put(name, f"The text of {name}.")
    source = await world.open(sources)
    first = await listed(source)
    assert set(first) == {world.key(name) for name in ("one", "two", "three")}
    assert await listed(source) == first
    again = await world.open(sources)
    assert await listed(again) == first
    assert all(item.etag for item in first.values())
    await source.close()
    await again.close()


async def test_what_changed_has_another_etag_and_what_did_not_has_the_same(world: World, sources: Sources) -> None:
    await world.put("one", "The first text.")
    await world.put("two", "The second text.")
    source = await world.open(sources)
    before = await listed(source)
    await world.put("two", "Another second text.")
    after = await listed(source, None if world.whole else source.cursor())
    assert after[world.key("one")] == before[world.key("one")]
    assert after[world.key("two")].etag != before[world.key("two")].etag
    await source.close()


async def test_what_was_deleted_is_gone_or_told(world: World, sources: Sources) -> None:
    await world.put("one", "Stays.")
    await world.put("two", "Goes.")
    source = await world.open(sources)
    assert source.incremental != world.whole
    await listed(source)
    await world.remove("two")
    after = await listed(source)
    assert world.key("one") in after
    if world.whole:
        assert world.key("two") not in after
    else:
        assert after[world.key("two")].deleted
    await source.close()


async def test_what_is_fetched_is_what_was_put(world: World, sources: Sources, tmp_path: Path) -> None:
    text = "Grüße aus dem Archiv: 12.5 % mehr."
    await world.put("one", text)
    source = await world.open(sources)
    item = (await listed(source))[world.key("one")]
    os.mkdir(tmp_path / "in")
    first = await source.fetch(item, tmp_path / "in", LIMIT)
    second = await source.fetch(item, tmp_path / "in", LIMIT)
    assert first.path != second.path
    assert first.path.parent == second.path.parent == tmp_path / "in"
    assert text.encode() in first.path.read_bytes()
    assert first.location.kind == world.spec.kind
    assert "one" in first.location.uri
    assert first.name
    await source.close()


async def test_a_document_over_the_limit_is_refused_alone(world: World, sources: Sources, tmp_path: Path) -> None:
    await world.put("one", "A" * 5000)
    await world.put("two", "B")
    source = await world.open(sources)
    items = await listed(source)
    with pytest.raises(TooLarge):
        await source.fetch(items[world.key("one")], tmp_path, 1000)
    assert b"B" in (await source.fetch(items[world.key("two")], tmp_path, 1000)).path.read_bytes()
    assert len([name for name in os.listdir(tmp_path) if len(name) == 32]) == 1
    await source.close()


async def test_what_vanished_since_is_not_found(world: World, sources: Sources, tmp_path: Path) -> None:
    await world.put("one", "Stays.")
    await world.put("two", "Goes.")
    source = await world.open(sources)
    items = await listed(source)
    await world.remove("two")
    later = await world.open(sources)
    if isinstance(world, HubWorld) and world.head is not None:  # it has to list: a revision stands still
        await listed(later)
    with pytest.raises(NotFound):
        await later.fetch(items[world.key("two")], tmp_path, LIMIT)
    await source.close()
    await later.close()


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "",
    "a/../../b",
    "a\0b",
    "x" * 5000,
    "%2e%2e/secret",
    "\\x2e",
    "'; --",
]


async def test_hostile_names_lead_nowhere(world: World, sources: Sources, tmp_path: Path) -> None:
    await world.put("one", "Stays.")
    (tmp_path / "secret").write_text("not for you")
    source = await world.open(sources)
    item = (await listed(source))[world.key("one")]
    os.mkdir(tmp_path / "in")
    for name in HOSTILE:
        with pytest.raises(CratonError):
            await source.fetch(type(item)(name, item.etag), tmp_path / "in", LIMIT)
    assert os.listdir(tmp_path / "in") == []
    await source.close()


async def test_a_listing_may_be_left_half_way(world: World, sources: Sources) -> None:
    for name in ("one", "two", "three"):
        await world.put(name, f"The text of {name}.")
    source = await world.open(sources)
    async for _ in source.list(None):
        break
    assert len(await listed(source)) == 3
    await source.close()


async def test_the_etag_does_not_depend_on_the_place(world: World, sources: Sources, tmp_path: Path) -> None:
    """Fetching changes nothing of what is listed."""
    await world.put("one", hashlib.sha256(b"x").hexdigest())
    source = await world.open(sources)
    before = await listed(source)
    for item in before.values():
        await source.fetch(item, tmp_path, LIMIT)
    assert await listed(source) == before
    await source.close()
