"""However often an ingestion is broken off, and wherever: in the end there is what an undisturbed one leaves."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Connection

from craton.core.job import JobLost
from craton.core.knowledge import Statistics
from craton.jobs.running import RunningJob
from craton.knowledge.ingesting import pipeline
from craton.knowledge.ingesting.job import ingest
from craton.store.database import Database
from tests.knowledge.workshop import TENANT, Workshop, lines, write
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

FIRST = {
    f"{number}.txt": "\n".join(f"line {line} of {number}" for line in range(1 + number % 7)) for number in range(150)
}
SECOND = {
    **{name: text for name, text in FIRST.items() if not name.startswith("3")},
    **{f"{number}.txt": f"another {number}\nand more" for number in range(40, 90)},
    **{f"new{number}.txt": f"new {number}" for number in range(30)},
}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Workshop]:
    database = Database.at(tmp_path / "craton.db")
    upgrade(database)
    (tmp_path / "docs").mkdir()
    made = Workshop(database, tmp_path / "blobs", tmp_path / "docs")
    made.syncing.start()
    yield made
    await made.syncing.close()
    database.close()


def put(shop: Workshop, texts: dict[str, str]) -> None:
    for path in shop.folder.iterdir():
        if path.name not in texts:
            path.unlink()
    write(shop.folder, texts)


async def check(shop: Workshop, base: str, texts: dict[str, str]) -> None:
    await shop.quiet()
    assert shop.visible(base) == lines(texts)
    indexed = await shop.indexed(base)
    assert [text for text, _, _ in indexed] == sorted(line for _, line in lines(texts))
    assert len({(text, vector) for text, _, vector in indexed}) == len({text for text, _, _ in indexed})
    rows = shop.rows()
    assert rows["knowledge_documents"] == len(texts)
    assert rows["knowledge_pieces"] == len(lines(texts))
    assert rows["knowledge_chunks"] == len(texts)
    assert rows["knowledge_removals"] == 0


class Killed(BaseException):
    """Like kill -9: nothing catches it."""


class Breaking(RunningJob):
    """A job whose process goes away at its nth write, just before or just after the commit."""

    nth = 0
    when: Literal["before", "after"] = "before"
    writes = 0

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self.writes += 1
        dies = self.writes >= self.nth
        with super().writing() as connection:
            yield connection
            if dies and self.when == "before":
                raise Killed
        if dies:
            raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_broken_off_at_every_write(
    shop: Workshop, when: Literal["before", "after"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "WINDOW_PIECES", 40)
    base, source = await shop.make()
    for texts, expected in (
        (FIRST, Statistics(scanned=150, new=150)),
        (SECOND, Statistics(scanned=169, new=30, modified=50, skipped=89, deleted=11)),
    ):
        put(shop, texts)
        started = await shop.ingestions.start(TENANT, base, source)
        nth = 0
        while (await shop.ingestions.get(TENANT, base, source, started.id)).status != "complete":
            nth += 1
            lease = shop.jobs.leases.claim(started.job)
            assert lease is not None
            running = Breaking(shop.jobs.leases, lease)
            running.nth, running.when = nth, when
            try:
                await ingest(running, lease.job.arguments, shop.parts)
                shop.jobs.leases.finish(lease, "succeeded", {})
            except (Killed, JobLost):
                shop.jobs.leases.release(lease)
        assert nth > 5
        done = await shop.ingestions.get(TENANT, base, source, started.id)
        assert done.statistics == expected
        await check(shop, base, texts)
        (job,) = shop.jobs.list(TENANT, ("queued",)).jobs or (None,)
        if job is not None:  # broken off after its last row: it finds nothing to do
            await shop.work(job.id)


@pytest.mark.slow
async def test_killed_again_and_again(shop: Workshop, tmp_path: Path) -> None:
    """CRATON_TEST_KILLS: how often, 4 when it is not set."""
    dice, most = random.Random(7), int(os.environ.get("CRATON_TEST_KILLS", "4"))
    base, source = await shop.make()
    kills, wanted, longest = 0, max(2, most // 5), 2.5
    for rounds, texts in enumerate(itertools.cycle((FIRST, SECOND)), start=1):
        put(shop, texts)
        while True:
            started = await shop.ingestions.start(TENANT, base, source, confirm_shrinking=True)
            while (await shop.ingestions.get(TENANT, base, source, started.id)).status in {"starting", "in_progress"}:
                often_enough = kills >= rounds * most / wanted
                seconds = 60.0 if often_enough else dice.uniform(0.4 * longest, longest)
                killed = await asyncio.to_thread(run_for, shop, started.job, tmp_path, seconds)
                kills += killed
                longest *= 1.0 if killed or often_enough else 0.7  # a quick machine is to be killed sooner
            if (await shop.ingestions.get(TENANT, base, source, started.id)).status == "complete":
                break  # else it was killed too often in a row before it got anywhere
        await check(shop, base, texts)
        if rounds >= wanted and (kills >= most / 4 or rounds >= 20):
            break
    assert kills >= most / 4, "too fast to be killed: nothing was shown"


def run_for(shop: Workshop, job: str, tmp_path: Path, seconds: float) -> bool:
    """Works on the job in another process. Whether it had to be killed."""
    worker = Path(__file__).with_name("ingesting_worker.py")
    database, blobs = f"sqlite:///{tmp_path / 'craton.db'}", str(tmp_path / "blobs")
    process = subprocess.Popen([sys.executable, str(worker), database, blobs, str(shop.folder), job])
    try:
        assert process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False
