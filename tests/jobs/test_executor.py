"""Jobs in real processes, which are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from craton.core.job import Job, JobSpec
from craton.jobs.executor import ExecutorLimits, LocalExecutor
from craton.jobs.queue import Jobs
from craton.store.database import Database
from tests.jobs.conftest import wait_until
from tests.migrated import upgrade

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children outlive their server"),
]

FOLDER = Path(__file__).parent
UNFINISHED = {"queued", "running"}
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database: starting processes takes seconds."""


@pytest.fixture
def jobs(database: Database) -> Jobs:
    """With the real clock, and the table in which workers count."""
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (job TEXT, number INT, pid INT, PRIMARY KEY (job, number))"))
    numbers = iter(range(1, 1000))
    return Jobs(database, time.time, lambda: f"job{next(numbers)}")


@pytest.fixture
def submit(database: Database, jobs: Jobs) -> Callable[..., Job]:
    def submit(kind: str = "count", **arguments: object) -> Job:
        with database.write() as connection:
            return jobs.submit(connection, JobSpec("acme", kind, arguments))

    return submit


@asynccontextmanager
async def executing(jobs: Jobs, url: str, **limits: float) -> AsyncIterator[LocalExecutor]:
    executor = LocalExecutor(
        jobs,
        (sys.executable, "-s", str(FOLDER / "counting_worker.py"), url),
        os.environ,
        {},
        ExecutorLimits(**{"at_once": 2, **limits}),  # type: ignore[arg-type]  # some are whole numbers
    )
    executor.start()
    try:
        yield executor
    finally:
        await executor.stop()


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, true)


async def ended(jobs: Jobs, job: Job) -> Job:
    await until(lambda: jobs.get("acme", job.id).status not in UNFINISHED)
    return jobs.get("acme", job.id)


def counted(database: Database, job: str) -> list[tuple[int, int]]:
    """(number, process id), in order."""
    with database.read() as connection:
        rows = connection.execute(
            text("SELECT number, pid FROM counted WHERE job = :job ORDER BY number"), {"job": job}
        )
        return [(row.number, row.pid) for row in rows]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@one_database
async def test_a_job_runs_in_a_process_of_its_own(
    jobs: Jobs, database: Database, database_url: str, submit: Callable[..., Job]
) -> None:
    async with executing(jobs, database_url):
        job = await ended(jobs, submit(to=5, pause=0))
    assert (job.status, job.result, job.attempt) == ("succeeded", {"counted": 5, "resumed_at": 0}, 1)
    assert os.getpid() not in {pid for _, pid in counted(database, job.id)}


@one_database
async def test_a_job_whose_process_is_killed_again_and_again_comes_to_its_end(
    jobs: Jobs, database: Database, database_url: str, submit: Callable[..., Job]
) -> None:
    chance = random.Random(7)
    job = submit(to=40, pause=0.05)
    killed = set[int]()
    async with executing(jobs, database_url, crashes=1000):
        while len(killed) < 3:
            before = len(counted(database, job.id))
            await until(lambda before=before: len(counted(database, job.id)) > before + 1)  # type: ignore[misc]
            await asyncio.sleep(chance.uniform(0, 0.2))
            os.kill(pid := counted(database, job.id)[-1][1], signal.SIGKILL)
            killed.add(pid)
        done = await ended(jobs, job)
    assert done.status == "succeeded"
    assert done.attempt == 4
    assert done.result is not None
    assert done.result["resumed_at"] > 0
    assert [number for number, _ in counted(database, job.id)] == list(range(1, 41))
    assert all("killed by SIGKILL" in event.message for event in jobs.events("acme", job.id))


async def test_a_job_goes_on_after_its_server_was_killed(
    jobs: Jobs, database: Database, database_url: str, submit: Callable[..., Job]
) -> None:
    job = submit(to=60, pause=0.05)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(FOLDER / "executing_server.py"), database_url], env=environment)

    first = start()
    try:
        await until(lambda: len(counted(database, job.id)) > 5)
        worker = counted(database, job.id)[-1][1]
    finally:
        first.kill()
        first.wait()
    await until(lambda: gone(worker))
    assert jobs.get("acme", job.id).status == "running"
    second = start()
    try:
        done = await ended(jobs, job)
    finally:
        second.kill()
        second.wait()
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert [number for number, _ in counted(database, job.id)] == list(range(1, 61))


@one_database
async def test_a_server_that_stops_leaves_its_jobs_queued_and_the_next_one_goes_on(
    jobs: Jobs, database: Database, database_url: str, submit: Callable[..., Job]
) -> None:
    job, deaf = submit(to=30, pause=0.05), submit("deaf")
    async with executing(jobs, database_url, stop_grace=2.0):
        await until(lambda: len(counted(database, job.id)) > 3)
        await until(lambda: jobs.get("acme", deaf.id).progress.done == 1)
    for left in (job, deaf):
        found = jobs.get("acme", left.id)
        assert (found.status, found.attempt) == ("queued", 0)
    jobs.cancel("acme", deaf.id)
    async with executing(jobs, database_url):
        assert (await ended(jobs, job)).status == "succeeded"
    assert [number for number, _ in counted(database, job.id)] == list(range(1, 31))


async def test_two_executors_share_the_jobs_and_run_none_twice(
    jobs: Jobs, database: Database, database_url: str, submit: Callable[..., Job]
) -> None:
    made = [submit(to=3, pause=0.01) for _ in range(6)]
    other = Database(database_url)
    async with (
        executing(jobs, database_url),
        executing(Jobs(other, time.time, lambda: ""), database_url),
    ):
        done = [await ended(jobs, job) for job in made]
    other.close()
    assert [(job.status, job.attempt) for job in done] == [("succeeded", 1)] * 6
    assert all(len({pid for _, pid in counted(database, job.id)}) == 1 for job in made)


@one_database
async def test_no_more_jobs_run_at_once_than_there_may(
    jobs: Jobs, database_url: str, submit: Callable[..., Job]
) -> None:
    made = [submit("wait") for _ in range(3)]
    async with executing(jobs, database_url):
        await until(lambda: len(jobs.list("acme", ["running"]).jobs) == 2)
        await until(lambda: jobs.get("acme", made[0].id).progress.done == 1)
        assert jobs.get("acme", made[2].id).status == "queued"
        jobs.cancel("acme", made[0].id)
        assert (await ended(jobs, made[0])).status == "cancelled"
        await until(lambda: jobs.get("acme", made[2].id).status == "running")
        for job in made[1:]:
            jobs.cancel("acme", job.id)
            await ended(jobs, job)


@one_database
async def test_a_process_that_does_not_listen_is_killed_and_its_job_is_cancelled(
    jobs: Jobs, database_url: str, submit: Callable[..., Job]
) -> None:
    job = submit("deaf")
    async with executing(jobs, database_url, cancel_grace=0.5):
        await until(lambda: jobs.get("acme", job.id).progress.done == 1)
        jobs.cancel("acme", job.id)
        done = await ended(jobs, job)
    assert done.status == "cancelled"


@one_database
async def test_a_job_that_always_crashes_is_given_up_and_its_last_words_are_the_servers_alone(
    jobs: Jobs, database_url: str, submit: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    job = submit("crash")
    async with executing(jobs, database_url, crashes=2):
        done = await ended(jobs, job)
    assert (done.status, done.attempt) == ("failed", 2)
    assert done.error.endswith("that got no further: its process was killed by SIGKILL.")
    assert "these are its last words" in caplog.text
    assert "words" not in repr(jobs.events("acme", job.id))


@one_database
async def test_a_job_is_given_up_when_no_process_can_be_started(
    jobs: Jobs, submit: Callable[..., Job], tmp_path: Path
) -> None:
    executor = LocalExecutor(jobs, (str(tmp_path / "absent"),), os.environ, {}, ExecutorLimits(1, crashes=1))
    executor.start()
    done = await ended(jobs, submit())
    await executor.stop()
    assert done.error.endswith("its process could not be started.")
