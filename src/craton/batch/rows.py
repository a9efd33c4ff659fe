"""Batches as rows: their status is read from their job's row beside theirs, so that the two never disagree."""

from __future__ import annotations

import base64
import secrets
import string
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, case, select, tuple_

from craton.batch.tables import batches
from craton.batch.values import ENDED, Batch, Counts, Kind, Listing, Order
from craton.core.errors import InvalidRequest, NotFound
from craton.jobs.rows import table as jobs

MAX_PAGE = 1000
_LETTERS = string.ascii_lowercase + string.digits

_status: ColumnElement[str] = case(
    (jobs.c.status == "failed", "failed"),
    (jobs.c.status == "cancelled", "stopped"),
    (jobs.c.status == "succeeded", batches.c.phase),
    (jobs.c.cancelling, "stopping"),
    (batches.c.phase == "", case((jobs.c.status == "running", "validating"), else_="submitted")),
    else_=batches.c.phase,
)
_seen: Select[Any] = select(
    *(column for column in batches.c if column.name != "body"),
    _status.label("status"),
    jobs.c.ended.label("ended"),
    jobs.c.error.label("error"),
).join(jobs, (jobs.c.tenant == batches.c.tenant) & (jobs.c.id == batches.c.job))


def new_id() -> str:
    """Twelve small letters and digits: 62 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(12))


def find(connection: Connection, tenant: str, kind: Kind, batch: str) -> Batch:
    """Raises NotFound."""
    mine = (batches.c.tenant == tenant) & (batches.c.kind == kind) & (batches.c.id == batch)
    row = connection.execute(_seen.where(mine)).one_or_none()
    if row is None:
        raise NotFound("batch", batch[:64])
    return _batch(row)


def listed(connection: Connection, tenant: str, kind: Kind, listing: Listing) -> tuple[list[Batch], str]:
    """A page by the time of making, and the next one's cursor. Raises InvalidRequest."""
    if not 1 <= listing.size <= MAX_PAGE:
        raise InvalidRequest(f"must be from 1 to {MAX_PAGE}", "size")
    query = _seen.where((batches.c.tenant == tenant) & (batches.c.kind == kind))
    if listing.statuses:
        query = query.where(_status.in_(listing.statuses))
    if listing.name:
        query = query.where(batches.c.name.contains(listing.name, autoescape=True))
    if listing.since is not None:
        query = query.where(batches.c.created > listing.since)
    if listing.until is not None:
        query = query.where(batches.c.created < listing.until)
    order = tuple_(batches.c.created, batches.c.id)
    if listing.cursor:
        place = tuple_(*_place(listing.cursor))
        query = query.where(order > place if listing.ascending else order < place)
    directed = [column.asc() if listing.ascending else column.desc() for column in (batches.c.created, batches.c.id)]
    rows = connection.execute(query.order_by(*directed).limit(listing.size + 1)).all()
    found = [_batch(row) for row in rows[: listing.size]]
    return found, _cursor(found[-1]) if len(rows) > listing.size else ""


def _batch(row: Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        tenant=row.tenant,
        kind=row.kind,
        job=row.job,
        order=msgspec.json.decode(row.value, type=Order),
        status=row.status,
        created=row.created,
        updated=max(row.updated, row.ended or 0.0),
        expires=row.expires,
        ended=row.updated if row.ended is None and row.status in ENDED else row.ended,  # its job says so in a moment
        counts=Counts(row.total, row.succeeded, row.failed, row.input_tokens, row.output_tokens),
        message=row.error or "",
        token=row.token or "",
    )


def _cursor(batch: Batch) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([batch.created, batch.id])).decode()


def _place(cursor: str) -> tuple[float, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[float, str])
    except (ValueError, msgspec.DecodeError):
        raise InvalidRequest("is not from an earlier page", "cursor") from None
