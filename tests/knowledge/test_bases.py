"""Knowledge bases and data sources as their owners keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.core.knowledge import Chunking, SourceSpec
from craton.knowledge.protocol import NewDataSource, NewKnowledgeBase, Page
from craton.store.database import Database
from tests.knowledge.workshop import TENANT, Workshop, lines, write
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio
FOLDER = SourceSpec("folder")


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    upgrade(database)
    (tmp_path / "docs").mkdir()
    made = Workshop(database, tmp_path / "blobs", tmp_path / "docs")
    made.syncing.start()
    yield made
    await made.syncing.close()


async def test_a_base_is_pinned_to_its_embedder(shop: Workshop) -> None:
    made = await shop.bases.create(TENANT, NewKnowledgeBase("handbook", "m", extra={"role": "arn"}))
    assert (made.embedder, made.embedder_revision, made.dimensions, made.status) == ("m", "1", 64, "active")
    assert await shop.bases.get(TENANT, made.id) == await shop.bases.get(TENANT, "handbook") == made
    short = await shop.bases.create(TENANT, NewKnowledgeBase("short", "m", dimensions=32))
    assert short.dimensions == 32


async def test_what_cannot_be_is_refused(shop: Workshop) -> None:
    with pytest.raises(NotFound):
        await shop.bases.create(TENANT, NewKnowledgeBase("x", "no-such-model"))
    with pytest.raises(InvalidRequest):
        await shop.bases.create(TENANT, NewKnowledgeBase("x", "m", index="qdrant", storage={"register": "main"}))
    with pytest.raises(InvalidRequest):
        await shop.bases.create(TENANT, NewKnowledgeBase("", "m"))
    base = await shop.bases.create(TENANT, NewKnowledgeBase("x", "m"))
    with pytest.raises(Conflict):
        await shop.bases.create(TENANT, NewKnowledgeBase("x", "m"))
    wrong = Chunking("hierarchical", max_tokens=500, parent_tokens=100)
    with pytest.raises(InvalidRequest):
        await shop.sources.create(TENANT, base.id, NewDataSource("s", FOLDER, wrong))
    with pytest.raises(InvalidRequest):
        await shop.bases.list(TENANT, Page(cursor="never given out"))
    with pytest.raises(InvalidRequest):
        await shop.bases.list(TENANT, Page(size=0))


async def test_the_same_token_is_the_same_call(shop: Workshop) -> None:
    first = await shop.bases.create(TENANT, NewKnowledgeBase("one", "m"), token="t")
    assert await shop.bases.create(TENANT, NewKnowledgeBase("one", "m"), token="t") == first
    with pytest.raises(Conflict):
        await shop.bases.create(TENANT, NewKnowledgeBase("two", "m"), token="t")
    source = await shop.sources.create(TENANT, first.id, NewDataSource("s", FOLDER), token="t")
    assert await shop.sources.create(TENANT, first.id, NewDataSource("s", FOLDER), token="t") == source


async def test_listings_come_in_pages_in_the_order_of_creation(shop: Workshop) -> None:
    made = [await shop.bases.create(TENANT, NewKnowledgeBase(f"base-{number}", "m")) for number in range(5)]
    found, cursor = [], ""
    while True:
        page, cursor = await shop.bases.list(TENANT, Page(2, cursor))
        found += page
        if not cursor:
            break
    assert found == made


async def test_names_change_and_what_vectors_rest_on_does_not(shop: Workshop) -> None:
    base = await shop.bases.create(TENANT, NewKnowledgeBase("one", "m"))
    await shop.bases.create(TENANT, NewKnowledgeBase("two", "m"))
    changed = await shop.bases.update(TENANT, base.id, NewKnowledgeBase("three", "m", description="d"))
    assert (changed.name, changed.description) == ("three", "d")
    for new in (NewKnowledgeBase("two", "m"), NewKnowledgeBase("three", "m", dimensions=32)):
        with pytest.raises(Conflict):
            await shop.bases.update(TENANT, base.id, new)
    source = await shop.sources.create(TENANT, base.id, NewDataSource("s", FOLDER))
    renamed = await shop.sources.update(TENANT, base.id, "s", NewDataSource("t", FOLDER))
    assert (renamed.id, renamed.name) == (source.id, "t")
    with pytest.raises(Conflict):
        await shop.sources.update(TENANT, base.id, "t", NewDataSource("t", FOLDER, Chunking("none")))


async def test_a_deleted_base_leaves_nothing_behind(shop: Workshop) -> None:
    write(shop.folder, {"a.txt": "one\ntwo", "b.txt": "three"})
    base, source = await shop.make()
    await shop.ingest(base, source)
    kept, kept_source = await shop.make(name="kept")
    await shop.ingest(kept, kept_source)
    before = shop.rows()
    waiting = await shop.ingestions.start(TENANT, base, source)
    assert (await shop.bases.delete(TENANT, base)).status == "deleting"
    assert shop.jobs.get(TENANT, waiting.job).status == "cancelled"
    again = await shop.bases.create(TENANT, NewKnowledgeBase("handbook", "m"))  # its name is free at once
    await shop.bases.delete(TENANT, again.id)
    await shop.quiet()
    with pytest.raises(NotFound):
        await shop.bases.get(TENANT, base)
    assert shop.rows() == {name: count // 2 for name, count in before.items()}
    assert list(shop.indexes.made) == [f"{kept.lower()}-1"]
    assert shop.visible(kept) == lines({"a.txt": "one\ntwo", "b.txt": "three"})


@pytest.mark.parametrize("keep", [True, False])
async def test_a_deleted_source_takes_its_documents_unless_they_are_to_be_kept(shop: Workshop, keep: bool) -> None:
    write(shop.folder, {"a.txt": "one\ntwo", "b.txt": "three"})
    base, source = await shop.make()
    await shop.ingest(base, source)
    await shop.sources.update(TENANT, base, source, NewDataSource("docs", FOLDER, keep_on_delete=keep))
    assert (await shop.sources.delete(TENANT, base, source)).status == "deleting"
    await shop.quiet()
    with pytest.raises(NotFound):
        await shop.sources.get(TENANT, base, source)
    assert len(shop.visible(base)) == (3 if keep else 0)
    assert len(await shop.indexed(base)) == (3 if keep else 0)
    assert shop.rows()["knowledge_documents"] == (2 if keep else 0)


async def test_a_deletion_goes_on_after_a_restart(shop: Workshop, tmp_path: Path) -> None:
    write(shop.folder, {f"{number}.txt": f"text {number}" for number in range(50)})
    base, source = await shop.make()
    await shop.ingest(base, source)
    await shop.syncing.close()
    await shop.bases.delete(TENANT, base)
    after = Workshop(shop.database, tmp_path / "blobs", shop.folder)
    after.indexes = shop.indexes
    after.syncing.start()
    await after.quiet()
    await after.syncing.close()
    assert shop.rows()["knowledge_documents"] == shop.rows()["knowledge_bases"] == 0
