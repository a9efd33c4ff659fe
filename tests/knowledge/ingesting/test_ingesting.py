"""A source's documents come into the base as they are, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func as sql
from sqlalchemy import select

from craton.core.errors import Conflict, ModelUnavailable, NotFound
from craton.core.knowledge import External, Statistics
from craton.knowledge import tables
from craton.knowledge.protocol import DirectDocument, Page
from craton.store.database import Database
from tests.knowledge.workshop import TENANT, PlainParser, Workshop, eventually, lines, write
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

TEXTS = {f"{number}.txt": f"the {number}th first\nand second\n\nthird of {number}" for number in range(30)}


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    upgrade(database)
    (tmp_path / "docs").mkdir()
    made = Workshop(database, tmp_path / "blobs", tmp_path / "docs")
    made.syncing.start()
    yield made
    await made.syncing.close()


async def test_what_the_source_has_is_visible_and_in_the_index(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    done = await shop.ingest(base, source)
    assert done.status == "complete", done.failures
    assert done.statistics == Statistics(scanned=30, new=30)
    assert (done.done, done.total) == (30, 30)
    assert shop.visible(base) == lines(TEXTS)
    await shop.quiet()
    assert sorted(text for text, _, _ in await shop.indexed(base)) == sorted(line for _, line in lines(TEXTS))


async def test_unchanged_documents_cost_nothing(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    await shop.quiet()
    before, rows = shop.embedders.embedded, shop.rows()
    again = await shop.ingest(base, source)
    assert again.statistics == Statistics(scanned=30, skipped=30)
    assert shop.embedders.embedded == before
    assert shop.rows() == rows | {"knowledge_ingestions": 2}


async def test_touched_files_with_the_same_bytes_are_not_read_further(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    write(shop.folder, TEXTS)
    assert (await shop.ingest(base, source)).statistics == Statistics(scanned=30, skipped=30)


@pytest.mark.parametrize("etags", [True, False])
async def test_changes_and_deletions_are_followed(shop: Workshop, etags: bool) -> None:
    shop.etags = etags
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    changed = TEXTS | {"3.txt": "something else", "new.txt": "quite new"}
    write(shop.folder, changed)
    del changed["5.txt"]
    (shop.folder / "5.txt").unlink()
    done = await shop.ingest(base, source)
    assert done.statistics == Statistics(scanned=30, new=1, modified=1, deleted=1, skipped=28)
    assert shop.visible(base) == lines(changed)
    await shop.quiet()
    assert sorted(text for text, _, _ in await shop.indexed(base)) == sorted(line for _, line in lines(changed))
    assert shop.rows()["knowledge_pieces"] == len(lines(changed))
    assert shop.rows()["knowledge_removals"] == 0


async def test_new_metadata_reaches_the_index_without_embedding(shop: Workshop) -> None:
    write(shop.folder, {"a.txt": "one\ntwo", "a.txt.meta": '{"year": 2020}'})
    base, source = await shop.make()
    assert (await shop.ingest(base, source)).statistics == Statistics(scanned=1, new=1, metadata_scanned=1)
    embedded = shop.embedders.embedded
    write(shop.folder, {"a.txt.meta": '{"year": 2021}'})
    done = await shop.ingest(base, source)
    assert done.statistics == Statistics(scanned=1, modified=1, metadata_scanned=1, metadata_modified=1)
    assert shop.embedders.embedded == embedded
    await shop.quiet()
    assert [metadata for _, metadata, _ in await shop.indexed(base)] == [{"year": 2021.0}] * 2


async def test_equal_texts_are_embedded_once(shop: Workshop) -> None:
    write(shop.folder, {f"{number}.txt": "the very same" for number in range(10)})
    base, source = await shop.make()
    await shop.ingest(base, source)
    assert shop.embedders.embedded == 1
    assert len(shop.visible(base)) == 10


async def test_a_document_that_cannot_be_read_fails_alone(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    (shop.folder / "bad.bin").write_bytes(b"\xff\xfe\xff")
    (shop.folder / "empty.txt").write_bytes(b"")
    base, source = await shop.make()
    done = await shop.ingest(base, source)
    assert done.status == "complete"
    assert done.statistics == Statistics(scanned=32, new=30, failed=2)
    assert shop.visible(base) == lines(TEXTS)
    bad, empty = await shop.documents.get(TENANT, base, source, ["bad.bin", "empty.txt"])
    assert bad is not None
    assert (bad.status, bad.reason) == ("failed", "A file that is not text is not supported.")
    assert empty is not None
    assert (empty.status, empty.reason) == ("failed", "A document without text is not supported.")
    write(shop.folder, {"bad.bin": "good now"})
    again = await shop.ingest(base, source)
    assert again.statistics == Statistics(scanned=32, new=1, failed=1, skipped=30)
    assert shop.visible(base) == lines(TEXTS | {"bad.bin": "good now"})


async def test_a_text_that_cannot_be_embedded_fails_its_document_alone(shop: Workshop) -> None:
    write(shop.folder, TEXTS | {"poison.txt": "good\npoison\nafter"})
    shop.embedders.refuses = "poison"
    base, source = await shop.make()
    done = await shop.ingest(base, source)
    assert done.statistics == Statistics(scanned=31, new=30, failed=1)
    assert shop.visible(base) == lines(TEXTS)


async def test_what_failed_keeps_what_was_indexed_before(shop: Workshop) -> None:
    write(shop.folder, {"a.txt": "first"})
    base, source = await shop.make()
    await shop.ingest(base, source)
    (shop.folder / "a.txt").write_bytes(b"\xff\xfe")
    assert (await shop.ingest(base, source)).statistics.failed == 1
    assert shop.visible(base) == [("a.txt", "first")]


async def test_a_source_that_shrinks_suddenly_waits_for_confirmation(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    for number in range(20):
        (shop.folder / f"{number}.txt").unlink()
    stopped = await shop.ingest(base, source)
    assert stopped.status == "failed"
    assert "20 of the 30 documents" in stopped.failures[0]
    assert "confirm_shrinking" in stopped.failures[0]
    assert shop.visible(base) == lines(TEXTS)
    confirmed = await shop.ingest(base, source, confirm_shrinking=True)
    assert confirmed.statistics == Statistics(scanned=10, skipped=10, deleted=20)
    assert len({key for key, _ in shop.visible(base)}) == 10


async def test_a_new_parser_reads_everything_again_and_embeds_only_what_changed(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    embedded = shop.embedders.embedded

    class Newer(PlainParser):
        version = "2"

    shop.parts = replace(shop.parts, parser=Newer())
    done = await shop.ingest(base, source)
    assert done.statistics == Statistics(scanned=30, modified=30)
    assert shop.embedders.embedded == embedded
    await shop.quiet()
    assert shop.rows()["knowledge_pieces"] == len(lines(TEXTS))


async def test_an_embedder_of_another_revision_is_refused(shop: Workshop) -> None:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    await shop.ingest(base, source)
    shop.embedders.revision = "2"
    failed = await shop.ingest(base, source)
    assert failed.status == "failed"
    assert "cannot be compared" in failed.failures[0]
    assert shop.visible(base) == lines(TEXTS)


async def test_large_documents_go_through_in_slices(shop: Workshop) -> None:
    text = "\n\n".join("\n".join(f"line {a} {b}" for b in range(100)) for a in range(20))
    write(shop.folder, {"large.txt": text, "one-chunk.txt": "\n".join(f"row {number}" for number in range(1500))})
    base, source = await shop.make()
    assert (await shop.ingest(base, source)).status == "complete"
    assert len(shop.visible(base)) == 3500
    assert shop.rows()["knowledge_chunks"] == 21


# --- documents that are handed in ------------------------------------------------------------------------------


def direct(texts: dict[str, str]) -> list[DirectDocument]:
    return [DirectDocument(key, External(f"{key}.txt", text.encode())) for key, text in texts.items()]


async def test_documents_that_are_handed_in_are_pending_and_then_indexed(shop: Workshop) -> None:
    base, source = await shop.make("direct")
    given = await shop.documents.ingest(TENANT, base, source, direct({"a": "one", "b": "two"}))
    assert [(document.key, document.status) for document in given] == [("a", "pending"), ("b", "pending")]
    await shop.work_queue()
    assert shop.visible(base) == [("a", "one"), ("b", "two")]
    got = await shop.documents.get(TENANT, base, source, ["b", "c"])
    assert got[0] is not None
    assert (got[0].status, got[1]) == ("indexed", None)
    document, text = await shop.documents.text(TENANT, base, got[0].id)
    assert (document.key, text) == ("b", "two")


async def test_handing_in_again_replaces_and_leaves_the_others_alone(shop: Workshop) -> None:
    base, source = await shop.make("direct")
    await shop.documents.ingest(TENANT, base, source, direct({"a": "one", "b": "two"}))
    await shop.work_queue()
    await shop.documents.ingest(TENANT, base, source, direct({"a": "three"}))
    await shop.documents.ingest(TENANT, base, source, direct({"b": "two"}))  # joins the first
    assert len(shop.jobs.list(TENANT, ("queued",)).jobs) == 1
    await shop.work_queue()
    assert shop.visible(base) == [("a", "three"), ("b", "two")]
    rows, _ = await shop.documents.list(TENANT, base, source, Page())
    assert {row.status for row in rows} == {"indexed"}
    newest = (await shop.ingestions.list(TENANT, base, source, Page()))[0][-1]
    assert newest.statistics == Statistics(scanned=2, modified=1, skipped=1, metadata_scanned=2)


async def test_what_is_handed_in_while_an_ingestion_runs_is_seen_by_it(shop: Workshop) -> None:
    base, source = await shop.make("direct")
    await shop.documents.ingest(TENANT, base, source, direct({"a": "one"}))

    class HandingIn(PlainParser):
        async def parse(self, path: Path, name: str, media_type: str):  # type: ignore[no-untyped-def]
            if name == "a.txt":
                await shop.documents.ingest(TENANT, base, source, direct({"late": "just in time"}))
            return await super().parse(path, name, media_type)

    shop.parts = replace(shop.parts, parser=HandingIn())
    await shop.work_queue()
    assert shop.visible(base) == [("a", "one"), ("late", "just in time")]
    assert shop.jobs.list(TENANT, ("queued",)).jobs == ()


async def test_deleted_documents_are_gone_at_once_and_their_keys_are_free(shop: Workshop) -> None:
    base, source = await shop.make("direct")
    await shop.documents.ingest(TENANT, base, source, direct({"a": "one", "b": "two"}))
    await shop.work_queue()
    deleted = await shop.documents.delete(TENANT, base, source, ["a", "x"], token="t")
    assert [document and document.status for document in deleted] == ["deleting", None]
    assert await shop.documents.delete(TENANT, base, source, ["a", "x"], token="t") == deleted
    assert shop.visible(base) == [("b", "two")]
    await shop.documents.ingest(TENANT, base, source, direct({"a": "again"}))
    await shop.work_queue()
    assert shop.visible(base) == [("a", "again"), ("b", "two")]
    await shop.quiet()
    assert sorted(text for text, _, _ in await shop.indexed(base)) == ["again", "two"]
    assert shop.rows()["knowledge_documents"] == 2


# --- running ---------------------------------------------------------------------------------------------------


async def test_one_ingestion_of_a_source_at_a_time(shop: Workshop) -> None:
    base, source = await shop.make()
    first = await shop.ingestions.start(TENANT, base, source, token="t")
    assert (await shop.ingestions.start(TENANT, base, source, token="t")).id == first.id
    with pytest.raises(Conflict):
        await shop.ingestions.start(TENANT, base, source)
    stopped = await shop.ingestions.stop(TENANT, base, source, first.id)
    assert stopped.status == "stopped"
    assert (await shop.ingest(base, source)).status == "complete"


@pytest.mark.parametrize("etags", [True, False])
async def test_what_a_stopped_ingestion_had_written_counts_as_nothing(shop: Workshop, etags: bool) -> None:
    """Written, and waiting for the index when it is stopped; then files of it are taken away, and one is as before."""
    shop.etags = etags
    first = dict(list(TEXTS.items())[:12])
    write(shop.folder, first)
    base, source = await shop.make()
    await shop.ingest(base, source)
    index = shop.indexes.made[next(iter(shop.indexes.made))]
    index.fails = ModelUnavailable("index", "a test keeps it away.")
    write(shop.folder, TEXTS | {"3.txt": "changed for a moment"})
    started = await shop.ingestions.start(TENANT, base, source)
    working = asyncio.create_task(shop.work(started.job))
    columns = tables.documents.c

    async def written() -> bool:
        with shop.database.read() as connection:
            ready = select(sql.count()).where(columns.pending > 0, columns.last > 0)
            return connection.execute(ready).scalar_one() == 19

    await eventually(written)
    await shop.ingestions.stop(TENANT, base, source, started.id)
    await working
    assert (await shop.ingestions.get(TENANT, base, source, started.id)).status == "stopped"
    index.fails = None
    await shop.quiet()
    assert sorted(text for text, _, _ in await shop.indexed(base)) == sorted(line for _, line in lines(first))
    listed, _ = await shop.documents.list(TENANT, base, source, Page())
    assert {document.status for document in listed if document.key in first} == {"indexed"}
    assert {document.status for document in listed if document.key not in first} == {"pending"}
    left = dict(list(TEXTS.items())[:20])
    write(shop.folder, left)
    for name in TEXTS.keys() - left.keys():
        (shop.folder / name).unlink()
    done = await shop.ingest(base, source)
    assert done.statistics == Statistics(scanned=20, new=8, modified=1, deleted=10, skipped=11)
    assert shop.visible(base) == lines(left)


async def test_another_tenants_things_are_not_there(shop: Workshop) -> None:
    base, source = await shop.make()
    done = await shop.ingest(base, source)
    calls: list[Callable[[], object]] = [
        lambda: shop.bases.get("other", base),
        lambda: shop.bases.delete("other", base),
        lambda: shop.sources.get("other", base, source),
        lambda: shop.ingestions.start("other", base, source),
        lambda: shop.ingestions.get("other", base, source, done.id),
        lambda: shop.documents.list("other", base, source, Page()),
        lambda: shop.syncing.open_index("other", base),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call()  # type: ignore[misc]
    assert (await shop.bases.list("other", Page()))[0] == []
