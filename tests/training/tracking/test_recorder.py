"""What a trainer tells is in the database, in order and once, whatever happened before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection

from craton.core.errors import InvalidRequest, NotFound, Throttled
from craton.core.job import Job, JobLost, JobSpec
from craton.jobs.leases import Lease
from craton.jobs.queue import Jobs
from craton.jobs.running import RunningJob
from craton.store.database import Database
from craton.training.tracking.keeping import Facts
from craton.training.tracking.reading import Runs
from craton.training.tracking.recorder import FULL, Recorder
from tests.migrated import upgrade

TENANT = "acme"


class World:
    def __init__(self, database: Database) -> None:
        upgrade(database)
        numbers = count(1)
        self.database, self.now = database, 1000.0
        self.jobs = Jobs(database, lambda: self.now, lambda: f"run{next(numbers):04d}")
        self.runs = Runs(database, self.jobs)

    def submit(self, **specification: Any) -> Job:
        arguments = {"specification": {"method": "regression", **specification}, "pinned": "datasets/acme/rows@abc"}
        with self.database.write() as connection:
            return self.jobs.submit(connection, JobSpec(TENANT, "train", arguments))

    def attempt(self, job: Job) -> tuple[RunningJob, Lease]:
        lease = self.jobs.leases.claim(job.id)
        assert lease is not None
        return RunningJob(self.jobs.leases, lease), lease

    def told(self, job: Job, *points: tuple[str, float, int | None]) -> None:
        """By an attempt of its own, which then gives the job up as a crash does."""
        running, lease = self.attempt(job)
        recorder = Recorder(running)
        for name, value, step in points:
            recorder.add(name, value, step)
        recorder.close()
        self.jobs.leases.crashed(lease, "test")
        self.now += 120


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_all_that_was_told_is_written_in_order(world: World) -> None:
    job = world.submit()
    running, _ = world.attempt(job)
    recorder = Recorder(running, lambda: 5.0)
    for step in range(2 * FULL + 10):
        recorder.add("loss", 1.0 / (step + 1), step)
    recorder.add("accuracy", 0.5, None)
    recorder.close()
    recorder.close()
    curve = world.runs.curve(TENANT, job.id, "loss", most=10_000)
    assert curve.steps == list(range(2 * FULL + 10))
    assert curve.values[3] == 0.25
    assert world.runs.get(TENANT, job.id).figures == {"accuracy": 0.5}
    later = world.runs.after(TENANT, job.id, 2 * FULL + 9)
    assert [(point["name"], point["step"], point["time"]) for point in later] == [
        ("loss", 2 * FULL + 9, 5.0),
        ("accuracy", None, 5.0),
    ]


def test_a_curve_is_thinned_but_keeps_its_ends(world: World) -> None:
    job = world.submit()
    world.told(job, *(("loss", float(step), step) for step in range(1001)))
    thin = world.runs.curve(TENANT, job.id, "loss", most=11)
    assert (thin.total, thin.steps[0], thin.steps[-1]) == (1001, 0, 1000)
    assert 5 < len(thin.steps) <= 12
    with pytest.raises(NotFound):
        world.runs.curve(TENANT, job.id, "accuracy")


def test_numbers_that_are_none_are_told_apart(world: World) -> None:
    job = world.submit()
    world.told(job, ("loss", math.nan, 1), ("loss", math.inf, 2), ("loss", -math.inf, 3), ("final", math.nan, None))
    assert world.runs.curve(TENANT, job.id, "loss").values == ["NaN", "Infinity", "-Infinity"]
    assert world.runs.get(TENANT, job.id).figures == {"final": "NaN"}


def test_another_attempt_replaces_what_it_tells_again_and_nothing_else(world: World) -> None:
    job = world.submit()
    world.told(job, *(("loss", 1.0, step) for step in range(10)), ("seen", 7.0, 3), ("score", 1.0, None))
    world.told(job, *(("loss", 2.0, step) for step in range(6, 9)), ("score", 2.0, None))
    curve = world.runs.curve(TENANT, job.id, "loss")
    assert curve.steps == list(range(9))
    assert curve.values == [1.0] * 6 + [2.0] * 3
    run = world.runs.get(TENANT, job.id)
    assert (run.figures, run.curves) == ({"score": 2.0}, ["loss", "seen"])


def test_a_process_that_lost_its_run_writes_nothing(world: World) -> None:
    job = world.submit()
    running, lease = world.attempt(job)
    recorder = Recorder(running)
    world.jobs.leases.crashed(lease, "test")
    recorder.add("loss", 1.0, 0)
    with pytest.raises(JobLost):
        recorder.close()
    assert world.runs.get(TENANT, job.id).curves == []


class Busy:
    """A run whose database is busy at first."""

    def __init__(self, running: RunningJob, refusals: int) -> None:
        self._running, self._refusals = running, refusals
        self.job, self.check, self.report = running.job, running.check, running.report
        self.log, self.load, self.save = running.log, running.load, running.save

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self._refusals:
            self._refusals -= 1
            raise Throttled("busy")
        with self._running.writing() as connection:
            yield connection


def test_points_wait_for_a_busy_database(world: World) -> None:
    job = world.submit()
    running, _ = world.attempt(job)
    recorder = Recorder(Busy(running, 1))
    for step in range(5):
        recorder.add("loss", float(step), step)
    with pytest.raises(Throttled):
        recorder.flush()
    recorder.close()
    assert world.runs.curve(TENANT, job.id, "loss").steps == [0, 1, 2, 3, 4]


def begun(world: World, dataset: str, model: str = "", **specification: Any) -> Job:
    job = world.submit(**specification)
    running, lease = world.attempt(job)
    facts = Facts(running)
    facts.begin(dataset, "abc")
    facts.parameter("layers", 2)
    facts.end(model, "def" if model else "")
    world.jobs.leases.finish(lease, "succeeded", {"warnings": ["few rows"]})
    return job


def test_facts_lead_from_data_to_models_and_back(world: World) -> None:
    job, tried = begun(world, "acme/rows", "acme/model"), begun(world, "acme/rows")
    begun(world, "acme/other", "acme/else")
    assert {link["run"] for link in world.runs.models_of(TENANT, "acme/rows")} == {job.id, tried.id}
    assert world.runs.models_of(TENANT, "acme/rows", "abc") == world.runs.models_of(TENANT, "acme/rows")
    assert world.runs.models_of(TENANT, "acme/rows", "xyz") == world.runs.models_of("other", "acme/rows") == []
    origin = world.runs.origin_of(TENANT, "acme/model", "def")
    assert origin is not None
    assert (origin["run"], origin["dataset"]) == (job.id, "acme/rows")
    assert world.runs.origin_of("other", "acme/model", "def") is None
    run = world.runs.get(TENANT, job.id)
    assert (run.model, run.model_revision, run.warnings) == ("acme/model", "def", ["few rows"])
    assert run.facts["parameters"] == {"layers": 2}
    assert run.facts["cost"]["seconds"] >= 0
    assert run.facts["environment"]["libraries"]["numpy"]


def test_runs_side_by_side_show_what_differs(world: World) -> None:
    first = begun(world, "acme/rows", model_={"use": "svm", "c": 1}, seed=0)
    second = begun(world, "acme/rows", model_={"use": "svm", "c": 2}, seed=0)
    third = world.submit()
    world.told(third, ("loss", 1.0, 0), ("rmse", 3.0, None))
    found = world.runs.compare(TENANT, [first.id, second.id])
    assert found["parameters"] == {"model_.c": [1, 2]}
    found = world.runs.compare(TENANT, [first.id, third.id])
    assert found["figures"] == {"rmse": [None, 3.0]}
    assert [curve and curve.values for curve in found["curves"]["loss"]] == [None, [1.0]]
    with pytest.raises(InvalidRequest):
        world.runs.compare(TENANT, [first.id])


def test_the_beginning_of_an_id_is_enough_when_it_is_one_runs(world: World) -> None:
    first, second = world.submit(), world.submit()
    assert world.runs.resolve(TENANT, first.id) == first.id
    with pytest.raises(InvalidRequest, match="several"):
        world.runs.resolve(TENANT, "run")
    for absent in ("nothing", "%", "", "x" * 40):
        with pytest.raises(NotFound):
            world.runs.resolve(TENANT, absent)
    with pytest.raises(NotFound):
        world.runs.resolve("other", second.id)


def test_a_spec_is_seen_by_its_tenant_alone(world: World) -> None:
    job = world.submit()
    with pytest.raises(NotFound):
        world.runs.get("other", job.id)
    assert [run.id for run in world.runs.recent(TENANT, 10, "")[0]] == [job.id]
    assert world.runs.recent("other", 10, "") == ([], "")
