"""The workers' side of the queue: who may work on a job, and what only that process may write.

A lease has a fence, a number that grows each time the job changes hands. Every write of a worker compares it in its own
transaction, so that a process that was given up (paused, cut off, slow) changes nothing when it wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, select, update
from sqlalchemy import func as sql

from craton.core.chat import Json
from craton.core.job import Job, JobLost, Level, Progress
from craton.jobs.identity import has_died, this_process
from craton.jobs.rows import (
    MAX_JSON,
    MAX_STATE,
    UNFINISHED,
    append_event,
    decode,
    encode,
    encode_progress,
    is_job,
    plain,
    table,
    to_job,
)
from craton.store.database import Database

LEASE_SECONDS = 30.0
MAX_CRASHES = 5
HELD_FENCE = 1  # of a job that never changed hands
LONGEST_PAUSE = 60.0  # seconds between a crash and the next attempt
_CANDIDATES = 100  # looked at by one claim
_LARGE = {"arguments", "progress", "state", "result", "error"}
_light = [column for column in table.c if column.name not in _LARGE]  # what is read once a second


class Lease(Struct, frozen=True):
    """The right to work on a job. state: what an earlier attempt saved."""

    job: Job
    fence: int
    state: Json | None = None


class Leases:
    """Blocking, safe in threads and across processes."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def claim(
        self,
        job: str | None = None,
        seconds: float = LEASE_SECONDS,
        kinds: Collection[str] = (),
        max_crashes: int = MAX_CRASHES,
    ) -> Lease | None:
        """The job with this id, or the next one: of the tenant with the fewest running ones, the oldest. None when it
        is not to be had (another process works on it, it has finished, there is none).

        A job whose process went away is to be had again, and its crash counted. kinds: empty means any.
        """
        with self._database.read() as connection:
            if not any(self._is_free(row) for row in self._candidates(connection, job, kinds)):
                return None  # the usual case: nobody waits for the write lock
        with self._database.write() as connection:
            for row in self._candidates(connection, job, kinds):
                if self._is_free(row) and self._settle(connection, row, max_crashes):
                    return self._take(connection, row, seconds)
        return None

    def adopt(self, job: str, fence: int, seconds: float = LEASE_SECONDS) -> Lease:
        """The lease that another process took for this one, which is from now on its owner. Raises JobLost."""
        with self._database.write() as connection:
            row = connection.execute(select(table).where((table.c.id == job) & (table.c.fence == fence))).first()
            if row is None or row.status != "running":
                raise JobLost()
            until = self._clock() + seconds
            of_job = is_job(row.tenant, row.id)
            connection.execute(update(table).where(of_job).values(owner=this_process() or None, lease_until=until))
            return Lease(to_job(row), fence, decode(row.state))

    def hold(self, connection: Connection, job: Job, seconds: float) -> Lease:
        """Takes a job that was submitted in this same transaction, so that no executor does, for a process that is not
        known here: it is believed to live for as long as it is heard of."""
        row = connection.execute(select(table).where(is_job(job.tenant, job.id))).one()
        return self._take(connection, row, seconds, "")

    def first(self, job: Job) -> Lease:
        """The lease of a job that was held from its beginning. Writing under it raises JobLost if it is gone."""
        return Lease(job, HELD_FENCE)

    def hold_on(self, connection: Connection, lease: Lease, seconds: float, state: Json | None = None) -> Json | None:
        """In a transaction of `writing`. state: kept in the place of the one that there is, which is returned."""
        of_job = is_job(lease.job.tenant, lease.job.id)
        before = connection.execute(select(table.c.state).where(of_job)).scalar_one()
        changed = {} if state is None else {"state": encode(state, "the state of a job", MAX_STATE)}
        self._set(connection, lease, lease_until=self._clock() + seconds, **changed)
        return decode(before)

    @contextmanager
    def writing(self, lease: Lease) -> Iterator[Connection]:
        """A write transaction under the lease. Raises JobLost at its beginning."""
        with self._database.write() as connection:
            self._own(connection, lease)
            yield connection

    def is_cancelling(self, lease: Lease) -> bool:
        """Raises JobLost. Costs one read."""
        with self._database.read() as connection:
            return bool(self._own(connection, lease).cancelling)

    def extend(self, lease: Lease, seconds: float = LEASE_SECONDS) -> None:
        """Raises JobLost."""
        with self.writing(lease) as connection:
            self._set(connection, lease, lease_until=self._clock() + seconds)

    def report(self, lease: Lease, progress: Progress) -> None:
        """Raises JobLost."""
        with self.writing(lease) as connection:
            values: dict[str, Any] = {"progress": encode_progress(progress)}
            if progress.done > self._own(connection, lease).furthest:
                values |= {"furthest": progress.done, "crashes": 0}
            self._set(connection, lease, **values)

    def log(self, lease: Lease, message: str, level: Level = "info") -> None:
        """Raises JobLost."""
        with self.writing(lease) as connection:
            append_event(connection, lease.job.tenant, lease.job.id, self._clock(), level, message)

    def save(self, lease: Lease, state: Json) -> None:
        """A state that differs from the last one counts as having got further. Raises JobLost, TooLarge."""
        text = encode(state, "the state of a job", MAX_STATE)
        with self.writing(lease) as connection:
            of_job = is_job(lease.job.tenant, lease.job.id)
            known = connection.execute(select(table.c.state, table.c.crashes).where(of_job)).one()
            self._set(connection, lease, state=text, crashes=known.crashes if text == known.state else 0)

    def finish(
        self,
        lease: Lease,
        status: Literal["succeeded", "failed", "cancelled"],
        result: Json | None = None,
        error: str = "",
    ) -> None:
        """Raises JobLost, TooLarge for a result."""
        with self.writing(lease) as connection:
            self.finish_in(connection, lease, status, result, error)

    def finish_in(
        self,
        connection: Connection,
        lease: Lease,
        status: Literal["succeeded", "failed", "cancelled"],
        result: Json | None = None,
        error: str = "",
    ) -> None:
        """In a transaction of `writing`. Raises TooLarge for a result."""
        text = None if result is None else encode(result, "the result of a job", MAX_JSON)
        self._end(connection, lease.job.tenant, lease.job.id, status, error, text)

    def release(self, lease: Lease) -> None:
        """The job is queued again, as if this process had never had it. No error when it is lost already."""
        with self._database.write() as connection:
            try:
                self._own(connection, lease)
            except JobLost:
                return
            values = {"status": "queued", "lease_until": None, "owner": None, "attempt": lease.job.attempt - 1}
            self._set(connection, lease, fence=lease.fence + 1, **values)

    def crashed(self, lease: Lease, how: str, max_crashes: int = MAX_CRASHES) -> None:
        """Its process ended, and if it said nothing more than that, the job waits a little for the next attempt, or is
        given up. how: "its process was killed by SIGSEGV"."""
        with self._database.write() as connection:
            try:
                row = self._own(connection, lease)
            except JobLost:
                return
            if not self._settle(connection, row, max_crashes, how):
                return
            crashes = row.crashes + 1
            pause = min(LONGEST_PAUSE, 0.25 * 2**crashes)
            values = {"status": "queued", "lease_until": self._clock() + pause, "owner": None, "crashes": crashes}
            self._set(connection, lease, fence=lease.fence + 1, **values)

    def _candidates(self, connection: Connection, job: str | None, kinds: Collection[str]) -> list[Row[Any]]:
        running = (
            select(table.c.tenant.label("tenant"), sql.count().label("running"))
            .where(table.c.status == "running")
            .group_by(table.c.tenant)
            .subquery()
        )
        query = (
            select(*_light)
            .outerjoin(running, running.c.tenant == table.c.tenant)
            .where(self._may_be_free())
            .order_by(sql.coalesce(running.c.running, 0), table.c.created, table.c.id)
            .limit(_CANDIDATES)
        )
        if job is not None:
            query = query.where(table.c.id == job)
        if kinds:
            query = query.where(table.c.kind.in_(kinds))
        return list(connection.execute(query))

    def _may_be_free(self) -> ColumnElement[bool]:
        """Running ones too, whose process may have died."""
        waits = (table.c.status == "queued") & (table.c.lease_until > self._clock())
        return table.c.status.in_(UNFINISHED) & ~sql.coalesce(waits, False)

    def _is_free(self, row: Row[Any]) -> bool:
        return row.status == "queued" or row.lease_until < self._clock() or has_died(row.owner)

    def _settle(
        self, connection: Connection, row: Row[Any], max_crashes: int, how: str = "its process went away"
    ) -> bool:
        """Whether it is to run again. If its process crashed: says so in its log, and ends it when it was to stop or
        has crashed too often."""
        if row.status == "queued":
            return True
        now, crashes = self._clock(), row.crashes + 1
        if row.cancelling:
            self._end(connection, row.tenant, row.id, "cancelled", "", None)
            return False
        append_event(connection, row.tenant, row.id, now, "warning", f"Attempt {row.attempt} broke off: {how}.")
        if crashes >= max_crashes:
            error = f"It was given up after {crashes} attempts in a row that got no further: {how}."
            self._end(connection, row.tenant, row.id, "failed", error, None)
            return False
        return True

    def _take(self, connection: Connection, row: Row[Any], seconds: float, owner: str | None = None) -> Lease:
        """owner: this process, where it is left out; "" for one that nothing is known of."""
        now = self._clock()
        connection.execute(
            update(table)
            .where(is_job(row.tenant, row.id))
            .values(
                status="running",
                attempt=row.attempt + 1,
                crashes=row.crashes + (row.status == "running"),
                fence=row.fence + 1,
                lease_until=now + seconds,
                owner=(this_process() if owner is None else owner) or None,
                started=now if row.started is None else row.started,
            )
        )
        taken = connection.execute(select(table).where(is_job(row.tenant, row.id))).one()
        return Lease(to_job(taken), taken.fence, decode(taken.state))

    def _end(self, connection: Connection, tenant: str, job: str, status: str, error: str, result: str | None) -> None:
        now = self._clock()
        ended = {"status": status, "ended": now, "exclusive": None, "lease_until": None, "owner": None}
        values = ended | {"error": plain(error), "result": result, "state": None}
        connection.execute(update(table).where(is_job(tenant, job)).values(values))
        if error:
            append_event(connection, tenant, job, now, "error", error)

    def _own(self, connection: Connection, lease: Lease) -> Row[Any]:
        row = connection.execute(select(*_light).where(is_job(lease.job.tenant, lease.job.id))).first()
        if row is None or row.status != "running" or row.fence != lease.fence:
            raise JobLost()
        return row

    def _set(self, connection: Connection, lease: Lease, **values: Any) -> None:
        connection.execute(update(table).where(is_job(lease.job.tenant, lease.job.id)).values(values))
