"""A queue on each kind of database, and a clock that tests move."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest

from craton.core.job import Job, JobSpec
from craton.jobs.queue import Jobs
from craton.store.database import Database
from tests.migrated import upgrade


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(database: Database, clock: Clock) -> Jobs:
    upgrade(database)
    numbers = count(1)
    return Jobs(database, clock, lambda: f"job{next(numbers):04d}")


@pytest.fixture
def submit(database: Database, jobs: Jobs) -> Callable[..., Job]:
    """Submits in a transaction of its own."""

    def submit(kind: str = "count", tenant: str = "acme", exclusive: str = "", **arguments: object) -> Job:
        with database.write() as connection:
            return jobs.submit(connection, JobSpec(tenant, kind, arguments, f"a {kind}", exclusive))

    return submit


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)
