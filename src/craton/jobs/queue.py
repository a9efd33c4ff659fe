"""The queue of jobs as their owners see it: submit, look, cancel. One table; every query carries the tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec import Struct
from sqlalchemy import Connection, Select, insert, select, tuple_, update
from sqlalchemy import func as sql

from craton.core.errors import Conflict, InvalidRequest, NotFound, Throttled
from craton.core.job import Job, JobEvent, JobSpec, JobStatus, Progress
from craton.jobs import tables
from craton.jobs.leases import Leases
from craton.jobs.rows import (
    MAX_JSON,
    MAX_SUBJECT,
    UNFINISHED,
    append_event,
    encode,
    encode_progress,
    is_job,
    plain,
    table,
    to_event,
    to_job,
)
from craton.store.database import Database

MAX_UNFINISHED = 10_000  # jobs of one tenant
MAX_PAGE = 1000


Forget = Callable[[Connection, str, str], None]
"""(transaction, tenant, job)"""


class Page(Struct, frozen=True):
    """Newest first. cursor: where the next page begins, "" at the end."""

    jobs: tuple[Job, ...]
    cursor: str = ""


class Jobs:
    """Blocking, safe in threads. clock: seconds since the epoch; new_id: unique, at most 32 characters.

    `leases` is the workers' side of the same table.
    """

    def __init__(self, database: Database, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id
        self._listeners: list[Callable[[], None]] = []
        self._followers: list[Forget] = []
        self.leases = Leases(database, clock)

    def notify(self, listener: Callable[[], None]) -> None:
        """listener is called, in any thread, when this process submits or cancels: perhaps before the commit."""
        self._listeners.append(listener)

    def forgetting(self, follower: Forget) -> None:
        """follower: forgets what else was kept of a job, in the transaction in which the job is."""
        self._followers.append(follower)

    def submit(self, connection: Connection, spec: JobSpec) -> Job:
        """A queued job, if the caller's write transaction commits.

        Raises Conflict (its name is the other job's id) when one with the same `exclusive` is unfinished, TooLarge,
        Throttled when the tenant has too many unfinished ones.
        """
        unfinished = (table.c.tenant == spec.tenant) & table.c.status.in_(UNFINISHED)
        if spec.exclusive:
            same = select(table.c.id).where((table.c.tenant == spec.tenant) & (table.c.exclusive == spec.exclusive))
            if (other := connection.execute(same).scalar()) is not None:
                raise Conflict("job", other, "it is doing the same and has not finished.")
        if connection.execute(select(sql.count()).where(unfinished)).scalar_one() >= MAX_UNFINISHED:
            raise Throttled(f"At most {MAX_UNFINISHED} jobs can be waiting.", 60.0)
        job = Job(
            id=self._new_id(),
            tenant=spec.tenant,
            kind=spec.kind,
            subject=plain(spec.subject, MAX_SUBJECT),
            arguments=spec.arguments,
            status="queued",
            attempt=0,
            created=self._clock(),
        )
        connection.execute(
            insert(table).values(
                tenant=job.tenant,
                id=job.id,
                kind=job.kind,
                subject=job.subject,
                arguments=encode(job.arguments, "the arguments of a job", MAX_JSON),
                exclusive=spec.exclusive or None,
                status=job.status,
                attempt=0,
                crashes=0,
                furthest=0,
                fence=0,
                cancelling=False,
                created=job.created,
                progress=encode_progress(Progress()),
                error="",
            )
        )
        self._tell()
        return job

    def get(self, tenant: str, job: str) -> Job:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _found(connection, tenant, job)

    def list(
        self,
        tenant: str,
        statuses: Collection[JobStatus] = (),
        kind: str | Collection[str] = "",
        limit: int = 50,
        cursor: str = "",
    ) -> Page:
        """statuses, kind (one, or several): empty means any. limit: at most MAX_PAGE.

        Raises InvalidRequest for a foreign cursor.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"must be from 1 to {MAX_PAGE}", "limit")
        query = select(table).where(table.c.tenant == tenant)
        if statuses:
            query = query.where(table.c.status.in_(statuses))
        if kind:
            query = query.where(table.c.kind.in_((kind,) if isinstance(kind, str) else kind))
        if cursor:
            query = _after(query, cursor)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.created.desc(), table.c.id.desc()).limit(limit + 1)).all()
        jobs = tuple(to_job(row) for row in rows[:limit])
        return Page(jobs, f"{jobs[-1].created!r}:{jobs[-1].id}" if len(rows) > limit else "")

    def events(self, tenant: str, job: str, after: int = 0, limit: int = MAX_PAGE) -> tuple[JobEvent, ...]:
        """Its log's lines with numbers above `after`, oldest first. Only the newest are kept. Raises NotFound."""
        lines = tables.events
        query = (
            select(lines)
            .where((lines.c.tenant == tenant) & (lines.c.job == job) & (lines.c.number > after))
            .order_by(lines.c.number)
            .limit(min(limit, MAX_PAGE))
        )
        with self._database.read() as connection:
            _found(connection, tenant, job)
            return tuple(to_event(row) for row in connection.execute(query))

    def cancel(self, tenant: str, job: str, connection: Connection | None = None) -> Job:
        """A queued job ends at once, a running one is asked to; what has finished stays as it is.

        connection: the caller's write transaction, if it has one. Raises NotFound.
        """
        if connection is None:
            with self._database.write() as own:
                return self.cancel(tenant, job, own)
        found = _found(connection, tenant, job)
        now = self._clock()
        if found.status == "queued":
            ended = {"status": "cancelled", "ended": now, "cancelling": True, "exclusive": None, "lease_until": None}
            connection.execute(update(table).where(is_job(tenant, job)).values(ended))
            append_event(connection, tenant, job, now, "info", "It was cancelled before it ran.")
        elif found.status == "running" and not found.cancelling:
            connection.execute(update(table).where(is_job(tenant, job)).values(cancelling=True))
            append_event(connection, tenant, job, now, "info", "It was asked to stop.")
        self._tell()
        return _found(connection, tenant, job)

    def starting_with(self, tenant: str, beginning: str, limit: int) -> tuple[str, ...]:
        """Ids that begin like this, the first ones in their order."""
        alike = (table.c.tenant == tenant) & table.c.id.startswith(beginning, autoescape=True)
        with self._database.read() as connection:
            return tuple(connection.scalars(select(table.c.id).where(alike).order_by(table.c.id).limit(limit)))

    def sweep(self, before: float) -> int:
        """Forgets what finished before this moment, with its log. How many that were."""
        old = ~table.c.status.in_(UNFINISHED) & (table.c.ended < before)
        with self._database.write() as connection:
            keys = connection.execute(select(table.c.tenant, table.c.id).where(old).limit(MAX_PAGE)).all()
            for row in keys:
                of_job = (tables.events.c.tenant == row.tenant) & (tables.events.c.job == row.id)
                connection.execute(tables.events.delete().where(of_job))
                for forget in self._followers:
                    forget(connection, row.tenant, row.id)
                connection.execute(table.delete().where(is_job(row.tenant, row.id)))
        return len(keys)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _found(connection: Connection, tenant: str, job: str) -> Job:
    row = connection.execute(select(table).where(is_job(tenant, job))).first()
    if row is None:
        raise NotFound("job", job[:64], "`craton jobs list` shows what there is.")
    return to_job(row)


def _after(query: Select[tuple[object, ...]], cursor: str) -> Select[tuple[object, ...]]:
    created, _, job = cursor.partition(":")
    try:
        position = (float(created), job)
    except ValueError:
        raise InvalidRequest("is not from an earlier page", "cursor") from None
    return query.where(tuple_(table.c.created, table.c.id) < position)
