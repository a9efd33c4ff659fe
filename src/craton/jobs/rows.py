"""Jobs as rows: JSON columns, bounds, plain text."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, insert, select
from sqlalchemy import func as sql

from craton.core.chat import Json
from craton.core.errors import TooLarge
from craton.core.job import Job, JobEvent, Level, Progress
from craton.jobs import tables

MAX_JSON = 1024 * 1024  # bytes of arguments or of a result
MAX_STATE = 16 * 1024 * 1024  # bytes of what an attempt leaves for the next
MAX_TEXT = 4000  # characters of a log line or an error
MAX_SUBJECT = 300
KEPT_EVENTS = 10_000  # the newest of each job

UNFINISHED = ("queued", "running")

table = tables.jobs
_progress = msgspec.json.Decoder(Progress)


def encode(value: Json, what: str, limit: int) -> str:
    """Raises TooLarge."""
    data = msgspec.json.encode(value)
    if len(data) > limit:
        raise TooLarge(what, limit, len(data))
    return data.decode()


def decode(text: str | None) -> Json | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def encode_progress(progress: Progress) -> str:
    kept = msgspec.structs.replace(progress, message=plain(progress.message, MAX_SUBJECT))
    return msgspec.json.encode(kept).decode()


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """What every database can hold, cut to so many characters."""
    whole = text.replace("\0", "").encode("utf-8", "replace").decode()
    return whole if len(whole) <= limit else whole[: limit - 4] + " ..."


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        tenant=row.tenant,
        kind=row.kind,
        subject=row.subject,
        arguments=decode(row.arguments) or {},
        status=row.status,
        attempt=row.attempt,
        created=row.created,
        started=row.started,
        ended=row.ended,
        cancelling=bool(row.cancelling),
        progress=_progress.decode(row.progress),
        result=decode(row.result),
        error=row.error,
    )


def to_event(row: Row[Any]) -> JobEvent:
    return JobEvent(row.number, row.time, row.level, row.message)


def is_job(tenant: str, job: str) -> ColumnElement[bool]:
    return (table.c.tenant == tenant) & (table.c.id == job)


def append_event(connection: Connection, tenant: str, job: str, time: float, level: Level, message: str) -> None:
    """In the caller's write transaction, which is alone in the database: numbers are never given twice."""
    events = tables.events
    of_job = (events.c.tenant == tenant) & (events.c.job == job)
    number = (connection.execute(select(sql.max(events.c.number)).where(of_job)).scalar() or 0) + 1
    connection.execute(
        insert(events).values(tenant=tenant, job=job, number=number, time=time, level=level, message=plain(message))
    )
    if number > KEPT_EVENTS:
        connection.execute(events.delete().where(of_job & (events.c.number <= number - KEPT_EVENTS)))
