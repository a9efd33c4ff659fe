"""The job's code with a dialect that only these tests speak: a line is a number, its answer twice the number."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from craton.batch.answering import Answered, Record
from craton.batch.batches import Batches
from craton.batch.job import BatchParts, run_batch
from craton.batch.values import Batch, Counts, Objects, Order
from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import CratonError, ModelFailed, NotFound
from craton.core.job import Running
from craton.customizing.tags import Tags
from craton.jobs.queue import Jobs
from craton.jobs.running import run
from craton.store.database import Database
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

COUNT = 40


class Doubling:
    """before: awaited with each number before its answer."""

    def __init__(self, before: Callable[[int], object] = lambda number: None) -> None:
        self._before = before
        self.asked: list[int] = []

    async def start(self) -> int:
        return 4

    async def answer(self, record: Record) -> Answered:
        number = int(record.data or b"")
        self.asked.append(number)
        waited = self._before(number)
        if asyncio.iscoroutine(waited):
            await waited
        return Answered(f"{2 * number}".encode(), True, 1, 2)

    def refuse(self, record: Record, error: CratonError) -> Answered:
        return Answered(f"{record.line}: {type(error).__name__}".encode(), False)

    def output(self, key: str) -> str:
        return f"{key}.doubled"

    def summary(self, counts: Counts) -> tuple[str, bytes]:
        return "counts", f"{counts.succeeded} {counts.failed}".encode()


class World:
    """A bucket with two inputs of COUNT numbers together, and what is needed to double them."""

    def __init__(self, database: Database, folder: Path) -> None:
        upgrade(database)
        self.database, self.folder, self.now = database, folder, 1000.0
        ids = itertools.count(1)
        self.jobs = Jobs(database, lambda: self.now, lambda: f"job{next(ids)}")
        self.buckets = Buckets(database, folder / "home", no_credential)
        self.buckets.create("red", "docs")
        parts = (database, self.jobs, self.buckets, Tags(database), lambda batch: None)
        self.batches = Batches("records", "batch", *parts, lambda: self.now)

    async def write(self, key: str, text: str) -> None:
        await self.buckets.write("red", "docs", key, one(text.encode()))

    async def fill(self) -> None:
        half = COUNT // 2
        await self.write("in/a.jsonl", "".join(f"{number}\n" for number in range(half)))
        await self.write("in/b.jsonl", "".join(f"{number}\n" for number in range(half, COUNT)))

    async def order(self, seconds: float = 100.0) -> Batch:
        await self.fill()
        order = Order("name", "model", "mode", Objects("docs", "out"), Objects("docs", "in/"), seconds)
        return await self.batches.create("red", order)

    async def run(self, batch: Batch, doubling: Doubling) -> Batch:
        """One attempt, and what its owner sees then."""
        parts = BatchParts(
            self.database,
            self.buckets,
            self.folder / "batches",
            lambda batch: doubling,
            lambda batch: doubling,
            lambda: self.now,
        )

        async def handle(running: Running) -> Json:
            return await run_batch(running, running.job.arguments, parts)

        assert await run(self.jobs, batch.job, {"batch": handle})
        return await self.batches.get("red", batch.id)

    async def outputs(self, batch: Batch) -> dict[str, str]:
        prefix = f"out/{batch.id}/"
        keys = [info.key async for info in self.buckets.list("red", "docs", prefix)]
        return {key.removeprefix(prefix): (await content(self.buckets, key)).decode() for key in keys}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = Database.at(tmp_path / "craton.db")
    yield World(database, tmp_path)
    database.close()


async def test_answers_are_written_in_the_order_of_their_records(database: Database, tmp_path: Path) -> None:
    world = World(database, tmp_path)
    doubling = Doubling(lambda number: asyncio.sleep(0.001 * (number * 7 % 5)))
    seen = await world.run(batch := await world.order(), doubling)
    half = COUNT // 2
    assert (seen.status, seen.counts) == ("completed", Counts(COUNT, COUNT, 0, COUNT, 2 * COUNT))
    assert await world.outputs(batch) == {
        "a.jsonl.doubled": "".join(f"{2 * number}\n" for number in range(half)),
        "b.jsonl.doubled": "".join(f"{2 * number}\n" for number in range(half, COUNT)),
        "counts": f"{COUNT} 0",
    }
    assert not (world.folder / "batches" / batch.id).exists()


async def test_when_time_is_over_the_rest_is_told_to_have_come_too_late(world: World) -> None:
    async def slow(number: int) -> None:
        if number >= 5:
            world.now += 200
            await asyncio.sleep(60)

    seen = await world.run(batch := await world.order(), Doubling(slow))
    assert (seen.status, seen.counts.succeeded, seen.counts.failed) == ("partial", 5, COUNT - 5)
    outputs = await world.outputs(batch)
    assert outputs["a.jsonl.doubled"].splitlines()[4:7] == ["8", "6: TimedOut", "7: TimedOut"]
    assert outputs["counts"] == f"5 {COUNT - 5}"


async def test_what_waited_too_long_is_never_begun(world: World) -> None:
    batch = await world.order()
    world.now += 200
    doubling = Doubling()
    seen = await world.run(batch, doubling)
    assert (seen.status, doubling.asked) == ("expired", [])


async def test_a_record_whose_model_dies_is_asked_again_and_then_given_up(world: World) -> None:
    def dying(number: int) -> None:
        if number == 7 or (number == 9 and doubling.asked.count(9) == 1):
            raise ModelFailed("model", "its worker died")

    doubling = Doubling(dying)
    seen = await world.run(batch := await world.order(), doubling)
    assert (seen.status, seen.counts.succeeded, seen.counts.failed) == ("completed", COUNT - 1, 1)
    assert (doubling.asked.count(7), doubling.asked.count(9)) == (3, 2)
    assert (await world.outputs(batch))["a.jsonl.doubled"].splitlines()[7] == "8: ModelFailed"


async def test_an_input_that_changes_meanwhile_fails_the_batch_with_what_was_answered(world: World) -> None:
    async def change(number: int) -> None:
        if number == 0:
            await world.write("in/b.jsonl", "1\n")
        elif number > 10:
            await asyncio.sleep(0.01)

    seen = await world.run(batch := await world.order(), Doubling(change))
    assert (seen.status, "s3://docs/in/b.jsonl changed" in seen.message) == ("failed", True)
    assert (await world.outputs(batch))["a.jsonl.doubled"].startswith("0\n2\n4\n")


async def test_nothing_is_written_over(world: World) -> None:
    batch = await world.order()
    await world.write(f"out/{batch.id}/a.jsonl.doubled", "mine")
    seen = await world.run(batch, doubling := Doubling())
    assert (seen.status, doubling.asked) == ("failed", [])
    assert await world.outputs(batch) == {"a.jsonl.doubled": "mine"}


def no_credential(name: str) -> str:
    raise NotFound("credential", name)


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def content(buckets: Buckets, key: str) -> bytes:
    return b"".join([data async for data in buckets.read("red", "docs", key)])
