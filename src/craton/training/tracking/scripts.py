"""Runs of programs that are not the platform's: they run on their owner's machine, with its rights, and tell of
themselves.

The server keeps what it is told; it never starts such a program. A run is held by a lease as every running job is,
which each word from its tracker makes longer; when nothing is heard any more, the queue takes it and finds it lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, insert, select, update
from sqlalchemy import func as sql

from craton.core.chat import Json
from craton.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from craton.core.job import Job, JobLost, JobSpec, Running
from craton.jobs.leases import Lease
from craton.jobs.queue import Jobs
from craton.jobs.rows import append_event
from craton.store.database import Database
from craton.training.tracking.reading import number
from craton.training.tracking.recorder import Point, insert_points
from craton.training.tracking.tables import points, runs
from craton.training.tracking.telling import KIND, Begin, End, Heard, Told, ToldPoint

HELD = 120.0  # seconds for which nothing need be heard
MAX_FACTS = 256 * 1024  # bytes
MAX_POINTS = 10_000_000  # of one run
MAX_WAYS = 300  # characters of a command that people are shown

Finding = Callable[[str, Literal["model", "dataset"], str, str], str]
"""(tenant, kind, namespace/name, revision) -> the revision in full. Blocks; raises NotFound."""


class Scripts:
    """Blocking, safe in threads. find: tells the revision of a repository that the tenant may read."""

    def __init__(self, database: Database, jobs: Jobs, find: Finding, clock: Callable[[], float] = time.time) -> None:
        self._database, self._jobs, self._find, self._clock = database, jobs, find, clock

    def begin(self, tenant: str, asked: Begin) -> Job:
        """The run as a running job that no executor takes. Raises NotFound for data that is not there, InvalidRequest,
        TooLarge, Throttled."""
        dataset, revision = self._data(tenant, asked.data)
        pinned = f"datasets/{dataset}@{revision}" if dataset else ""
        command = " ".join(asked.command)
        document = {"method": KIND, "command": command, "data": pinned, "output": asked.output}
        specification = {name: value for name, value in document.items() if value}
        facts = {
            "environment": asked.environment,
            "source": asked.source,
            "parameters": asked.parameters,
            "cost": {},
        }
        spec = JobSpec(
            tenant, KIND, {"specification": specification, "pinned": pinned}, asked.name or command[:MAX_WAYS]
        )
        text = _text(facts)
        with self._database.write() as connection:
            lease = self._jobs.leases.hold(connection, self._jobs.submit(connection, spec), HELD)
            row = {"tenant": tenant, "job": lease.job.id, "facts": text, "created": self._clock()}
            links = {"dataset": dataset, "dataset_revision": revision, "model": "", "model_revision": ""}
            connection.execute(insert(runs), row | links)
        return lease.job

    def hear(self, tenant: str, run: str, told: Told) -> Heard:
        """Keeps it, and holds the run for another while. Raises NotFound, Conflict when it has ended or was given up,
        TooLarge."""
        lease, leases = self._lease(tenant, run), self._jobs.leases
        with _owned(run), leases.writing(lease) as connection:
            last = (leases.hold_on(connection, lease, HELD) or {}).get("batch", 0)
            if not told.batch or told.batch > last:
                self._take_in(connection, lease.job, told)
                leases.hold_on(connection, lease, HELD, {"batch": max(told.batch, last)})
        return Heard("running", self._jobs.get(tenant, run).cancelling)

    def end(self, tenant: str, run: str, ended: End) -> Job:
        """Raises NotFound (for a model's revision that is not there, too), Conflict."""
        lease, leases = self._lease(tenant, run), self._jobs.leases
        revision = self._find(tenant, "model", ended.model, ended.revision) if ended.model else ""
        with _owned(run), leases.writing(lease) as connection:
            self._change(connection, lease.job, {"cost": ended.cost}, model=ended.model, model_revision=revision)
            result: dict[str, Any] = {"exit_code": ended.exit_code, "metrics": _figures(connection, lease.job)}
            if ended.model:
                result |= {"model": ended.model, "revision": revision}
            if ended.cancelled:
                leases.finish_in(connection, lease, "cancelled")
            elif ended.exit_code or ended.error:
                leases.finish_in(connection, lease, "failed", error=ended.error or _how(ended.exit_code))
            else:
                leases.finish_in(connection, lease, "succeeded", result=result)
        return self._jobs.get(tenant, run)

    def _data(self, tenant: str, ref: str) -> tuple[str, str]:
        if not ref:
            return "", ""
        path, _, revision = ref.removeprefix("datasets/").partition("@")
        if path.count("/") != 1:
            raise InvalidRequest("must be namespace/name@revision of a dataset", "data")
        return path, self._find(tenant, "dataset", path, revision or "main")

    def _lease(self, tenant: str, run: str) -> Lease:
        job = self._jobs.get(tenant, run)
        if job.kind != KIND:
            raise NotFound("run of a script", run)
        return self._jobs.leases.first(job)

    def _take_in(self, connection: Connection, job: Job, told: Told) -> None:
        if told.points:
            self._keep(connection, job, told.points)
        if told.parameters:
            self._change(connection, job, {"parameters": told.parameters})
        for line in told.lines:
            append_event(connection, job.tenant, job.id, self._clock(), line.level, line.message)

    def _keep(self, connection: Connection, job: Job, told: list[ToldPoint]) -> None:
        mine = (points.c.tenant == job.tenant) & (points.c.job == job.id)
        number = connection.scalar(select(sql.max(points.c.number)).where(mine)) or 0
        if number + len(told) > MAX_POINTS:
            raise TooLarge("the points of a run", MAX_POINTS, number + len(told), "points")
        now = self._clock()
        batch = [Point(it.name, it.step, float(it.value), now if it.time is None else it.time) for it in told]
        insert_points(connection, job, number, batch)

    def _change(self, connection: Connection, job: Job, changes: Json, **columns: str) -> None:
        """changes: of the facts; parameters are added to those that there are."""
        of_run = (runs.c.tenant == job.tenant) & (runs.c.job == job.id)
        facts = msgspec.json.decode(connection.execute(select(runs.c.facts).where(of_run)).scalar_one())
        parameters = facts["parameters"] | changes.get("parameters", {})
        text = _text({**facts, **changes, "parameters": parameters})
        connection.execute(update(runs).where(of_run).values(facts=text, **columns))


@contextmanager
def _owned(run: str) -> Iterator[None]:
    """A lost lease becomes an error that can be told."""
    try:
        yield
    except JobLost as error:
        reason = f"it has ended, or nothing was heard of it for {HELD:.0f} seconds."
        raise Conflict("run", run, reason) from error


async def found_lost(running: Running) -> Json:
    """What the queue runs when a script's lease has ended: nothing of the script's. Raises Conflict."""
    raise Conflict("run", running.job.id, f"nothing was heard of its command for {HELD:.0f} seconds.")


def _figures(connection: Connection, job: Job) -> dict[str, Any]:
    final = (points.c.tenant == job.tenant) & (points.c.job == job.id) & points.c.step.is_(None)
    rows = connection.execute(select(points.c.name, points.c.value).where(final).order_by(points.c.number))
    return {row.name: number(row.value) for row in rows}


def _how(exit_code: int) -> str:
    return (
        f"The command was ended by signal {-exit_code}."
        if exit_code < 0
        else (f"The command ended with exit code {exit_code}.")
    )


def _text(facts: Json) -> str:
    data = msgspec.json.encode(facts)
    if len(data) > MAX_FACTS:
        raise TooLarge("the facts of a run", MAX_FACTS, len(data))
    return data.decode()
