"""Jobs that run on a Ray cluster: the same command, the same fences, whatever happens to either side."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from craton.access.outgoing import outgoing
from craton.core.job import Job, JobSpec
from craton.jobs.executor import ExecutorLimits, LocalExecutor
from craton.jobs.queue import Jobs
from craton.jobs.ray import Cluster, Ray
from craton.store.database import Database
from tests.jobs.ray_clusters import ClusterForTests, real, stand_in
from tests.jobs.test_executor import FOLDER, counted, ended, until
from tests.migrated import upgrade

Submit = Callable[..., Job]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@pytest.fixture(scope="module", params=["stand-in", "real"])
def cluster(request: pytest.FixtureRequest) -> Iterator[ClusterForTests]:
    with stand_in() if request.param == "stand-in" else real() as found:
        yield found


@pytest.fixture
def jobs(database: Database) -> Jobs:
    """Ids are unique: clusters know them by name over all tests."""
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (job TEXT, number INT, pid INT, PRIMARY KEY (job, number))"))
    return Jobs(database, time.time, lambda: secrets.token_hex(8))


@pytest.fixture
def submit(database: Database, jobs: Jobs) -> Submit:
    def submit(**arguments: object) -> Job:
        with database.write() as connection:
            return jobs.submit(connection, JobSpec("acme", "count", arguments))

    return submit


@asynccontextmanager
async def executing(
    jobs: Jobs,
    url: str,
    cluster: ClusterForTests,
    token: str = "",
    crashes: int = 5,
) -> AsyncIterator[LocalExecutor]:
    worker = f"{sys.executable} -s {FOLDER / 'counting_worker.py'} '{url}'"
    async with outgoing([cluster.url]) as client:
        place = Cluster(cluster.url, worker, "", 1.0)
        ray = Ray(place, jobs.leases, lambda: client, lambda: token or cluster.token)
        limits = ExecutorLimits(at_once=1, crashes=crashes, cancel_grace=2.0)
        executor = LocalExecutor(jobs, ("false",), os.environ, {}, limits, {"ray": ray.launch})
        executor.start()
        try:
            yield executor
        finally:
            await executor.stop()


async def test_a_job_runs_on_the_cluster(
    jobs: Jobs,
    database_url: str,
    submit: Submit,
    cluster: ClusterForTests,
) -> None:
    async with executing(jobs, database_url, cluster):
        several = [submit(to=5, pause=0, on="ray") for _ in range(2)]  # at_once counts what runs here
        done = [await ended(jobs, job) for job in several]
    assert [(job.status, job.attempt) for job in done] == [("succeeded", 1)] * 2
    assert done[0].result == {"counted": 5, "resumed_at": 0}
    said = [event.message for event in jobs.events("acme", done[0].id)]
    assert f"It was handed to the Ray cluster as craton-{done[0].id}-1." in said


async def test_it_runs_on_when_the_server_ends(
    jobs: Jobs,
    database: Database,
    database_url: str,
    submit: Submit,
    cluster: ClusterForTests,
) -> None:
    job = submit(to=30, pause=0.1, on="ray")
    async with executing(jobs, database_url, cluster):
        await until(lambda: bool(counted(database, job.id)))
    before = len(counted(database, job.id))
    async with executing(jobs, database_url, cluster):
        done = await ended(jobs, job)
    assert before < 30
    assert (done.status, done.attempt) == ("succeeded", 1)


async def test_a_process_that_is_killed_there_is_started_again(
    jobs: Jobs,
    database: Database,
    database_url: str,
    submit: Submit,
    cluster: ClusterForTests,
) -> None:
    async with executing(jobs, database_url, cluster):
        job = submit(to=30, pause=0.05, on="ray")
        await until(lambda: len(counted(database, job.id)) > 2)
        os.kill(counted(database, job.id)[-1][1], signal.SIGKILL)
        done = await ended(jobs, job)
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert [number for number, _ in counted(database, job.id)] == list(range(1, 31))


async def test_it_can_be_cancelled(
    jobs: Jobs,
    database: Database,
    database_url: str,
    submit: Submit,
    cluster: ClusterForTests,
) -> None:
    async with executing(jobs, database_url, cluster):
        job = submit(to=10_000, pause=0.05, on="ray")
        await until(lambda: bool(counted(database, job.id)))
        jobs.cancel("acme", job.id)
        assert (await ended(jobs, job)).status == "cancelled"


async def test_without_the_right_token_nothing_runs(
    jobs: Jobs,
    database: Database,
    database_url: str,
    submit: Submit,
    cluster: ClusterForTests,
) -> None:
    async with executing(jobs, database_url, cluster, token="f" * 48, crashes=1):
        done = await ended(jobs, submit(to=1, pause=0, on="ray"))
        nowhere = await ended(jobs, submit(to=1, pause=0, on="another"))
    assert done.status == "failed"
    assert "its process could not be started" in done.error
    assert nowhere.error == "No cluster of this kind is configured here."
    assert counted(database, done.id) == []
