"""The index follows the rows, whatever happens to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from craton.core.errors import StorageFull
from craton.index.protocol import Search
from craton.knowledge import reindexing
from craton.knowledge.syncing import Syncing, carrying, loop, marks
from craton.store.database import Database
from tests.knowledge.workshop import TENANT, MemoryIndex, Workshop, eventually, lines, write
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

TEXTS = {f"{number}.txt": f"the {number}th first\nand second of {number}" for number in range(300)}


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    upgrade(database)
    (tmp_path / "docs").mkdir()
    made = Workshop(database, tmp_path / "blobs", tmp_path / "docs")
    made.syncing.start()
    yield made
    await made.syncing.close()


async def filled(shop: Workshop) -> tuple[str, str]:
    write(shop.folder, TEXTS)
    base, source = await shop.make()
    assert (await shop.ingest(base, source)).status == "complete"
    await shop.quiet()
    return base, source


def found(base: str, shop: Workshop) -> marks.Marks:
    read = marks.read(shop.database, TENANT, base)
    assert read is not None
    return read


async def restart(shop: Workshop) -> None:
    """As if the server had been started again: nothing is open, nothing remembered."""
    await shop.syncing.close()
    shop.syncing = Syncing(shop.database, {"edge": shop.indexes}, time.time)
    shop.syncing.start()


async def test_reindexing_builds_another_index_while_the_old_one_answers(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "RETIRING", 0.0)
    monkeypatch.setattr(reindexing, "POLL", 0.02)
    base, source = await filled(shop)
    before = await shop.indexed(base)
    job = await shop.bases.reindex(TENANT, base)
    write(shop.folder, {"0.txt": "changed meanwhile"})
    _, done, changed = await asyncio.gather(_searching(shop, base, job), shop.work(job), shop.ingest(base, source))
    assert (done.status, changed.status) == ("succeeded", "complete")
    await shop.quiet()
    after = await shop.indexed(base)
    assert [text for text, _, _ in after] == sorted(line for _, line in lines(TEXTS | {"0.txt": "changed meanwhile"}))
    assert {vector for _, _, vector in before} - {vector for _, _, vector in after}
    assert found(base, shop).epoch == 2

    async def only_one() -> bool:
        return len(shop.indexes.made) == 1

    await eventually(only_one)
    assert list(shop.indexes.made) == [f"{base.lower()}-2"]


async def _searching(shop: Workshop, base: str, job: str) -> None:
    vector = (await shop.indexed(base))[0][2]
    while shop.jobs.get(TENANT, job).status in {"queued", "running"}:
        index = await shop.syncing.open_index(TENANT, base)
        hits = (await index.search(Search(TENANT, 5, vector))).dense
        assert len(hits) == 5
        await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_reindexing_twice_gives_the_same_index(shop: Workshop) -> None:
    base, _ = await filled(shop)
    before = await shop.indexed(base)
    for _ in range(2):
        assert (await shop.work(await shop.bases.reindex(TENANT, base))).result == {"pieces": len(before)}
        assert await shop.indexed(base) == before


@pytest.mark.parametrize("loss", ["all", "some", "damaged"])
async def test_an_index_that_was_lost_while_nobody_looked_is_built_again(shop: Workshop, loss: str) -> None:
    base, _ = await filled(shop)
    before = await shop.indexed(base)
    (index,) = shop.indexes.made.values()
    if loss == "all":
        shop.indexes.made.clear()
    elif loss == "some":
        index.points.popitem()
    else:
        index.damaged = True
    await restart(shop)
    await shop.syncing.open_index(TENANT, base)
    await shop.quiet()
    assert await shop.indexed(base) == before


@pytest.mark.slow
async def test_an_index_that_breaks_while_it_is_written_is_built_again(shop: Workshop) -> None:
    base, source = await filled(shop)
    (index,) = shop.indexes.made.values()
    index.damaged = True
    write(shop.folder, {"new.txt": "new"})
    assert (await shop.ingest(base, source)).status == "complete"
    await shop.quiet()
    assert [text for text, _, _ in await shop.indexed(base)] == sorted(
        line for _, line in lines(TEXTS | {"new.txt": "new"})
    )


async def test_whoever_finds_it_damaged_has_it_built_again_once(shop: Workshop) -> None:
    base, _ = await filled(shop)
    before = await shop.indexed(base)
    index = await shop.syncing.open_index(TENANT, base)
    await asyncio.gather(*(shop.syncing.lost(TENANT, base, index) for _ in range(5)))
    await shop.quiet()
    assert await shop.indexed(base) == before
    assert found(base, shop).epoch == 2


async def test_a_place_that_fails_is_tried_again_and_says_so(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHORTEST_PAUSE", 0.1)
    base, source = await filled(shop)
    index = await shop.syncing.open_index(TENANT, base)
    assert isinstance(index, MemoryIndex)
    index.fails = StorageFull("The index server is away.")
    write(shop.folder, {"new.txt": "new"})
    working = asyncio.create_task(shop.ingest(base, source))

    async def told() -> bool:
        return (await shop.bases.get(TENANT, base)).failures == ("The index server is away.",)

    await eventually(told)
    index.fails = None
    assert (await working).status == "complete"

    async def forgotten() -> bool:
        return (await shop.bases.get(TENANT, base)).failures == ()

    await eventually(forgotten)


async def test_a_base_without_its_place_hurts_no_other(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHORTEST_PAUSE", 0.1)
    base, source = await shop.make()
    broken, broken_source = await shop.make(name="broken")
    write(shop.folder, {"a.txt": "one"})
    shop.indexes.made[f"{broken.lower()}-1"] = failing = MemoryIndex()
    failing.fails = StorageFull("away")
    stuck = asyncio.create_task(shop.ingest(broken, broken_source))
    assert (await shop.ingest(base, source)).status == "complete"
    failing.fails = None
    assert (await stuck).status == "complete"


@pytest.mark.slow
async def test_two_servers_that_carry_the_same_change_nothing(shop: Workshop) -> None:
    second = Syncing(shop.database, {"edge": shop.indexes}, time.time)
    second.start()
    base, source = await filled(shop)
    write(shop.folder, {f"{number}.txt": f"changed {number}" for number in range(100)})
    await shop.ingest(base, source)
    await shop.quiet()
    await second.close()
    changed = TEXTS | {f"{number}.txt": f"changed {number}" for number in range(100)}
    texts = [text for text, _, _ in await shop.indexed(base)]
    assert texts == sorted(line for _, line in lines(changed))
