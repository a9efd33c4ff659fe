"""Resources of other services that are kept and do nothing: roles, policies, collections.

The scripts that people bring make them before they come to what Craton does; their state is kept so that what was
made is found again, listed and deleted, and nothing runs behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from craton.access.tables import bookkeeping
from craton.core.errors import Conflict, NotFound, Throttled
from craton.store.database import Database

MAX_RECORDS = 10_000  # of one kind in one tenant


class Record(Struct, frozen=True):
    """created: seconds since the epoch. value: JSON, as its service wants it."""

    name: str
    created: float
    value: dict[str, Any]


class Bookkeeping:
    """Blocking, safe in threads. A kind is a word of its service: "role", "collection"."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def create(self, tenant: str, kind: str, name: str, value: dict[str, Any]) -> Record:
        """Raises Conflict when there is one of this name, Throttled when there are MAX_RECORDS."""
        record = Record(name, self._clock(), value)
        try:
            with self._database.write() as connection:
                count = select(func.count()).where(_are(tenant, kind))
                if connection.execute(count).scalar_one() >= MAX_RECORDS:
                    raise Throttled(f"There are {MAX_RECORDS:,} of kind {kind} already.")
                row = {"tenant": tenant, "kind": kind, "name": name, "created": record.created}
                connection.execute(insert(bookkeeping).values(**row, value=_text(value)))
        except IntegrityError as error:
            raise Conflict(kind, name, "it exists already.") from error
        return record

    def get(self, tenant: str, kind: str, name: str) -> Record:
        """Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(bookkeeping).where(_is(tenant, kind, name))).first()
        if row is None:
            raise NotFound(kind, name)
        return Record(row.name, row.created, msgspec.json.decode(row.value))

    def list(self, tenant: str, kind: str, after: str = "", limit: int = 1000) -> list[Record]:
        """By name, those that come after this one."""
        query = select(bookkeeping).where(_are(tenant, kind))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found = sorted((row.name, row.created, row.value) for row in rows if row.name > after)
        return [Record(name, created, msgspec.json.decode(value)) for name, created, value in found[:limit]]

    def change(self, tenant: str, kind: str, name: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Record:
        """Replaces the value by `edit(value)`, in one transaction. Raises NotFound and what edit raises."""
        with self._database.write() as connection:
            row = connection.execute(select(bookkeeping).where(_is(tenant, kind, name))).first()
            if row is None:
                raise NotFound(kind, name)
            value = edit(msgspec.json.decode(row.value))
            connection.execute(update(bookkeeping).where(_is(tenant, kind, name)).values(value=_text(value)))
        return Record(name, row.created, value)

    def delete(self, tenant: str, kind: str, name: str) -> None:
        """Raises NotFound."""
        with self._database.write() as connection:
            if connection.execute(delete(bookkeeping).where(_is(tenant, kind, name))).rowcount == 0:
                raise NotFound(kind, name)


def _are(tenant: str, kind: str) -> ColumnElement[bool]:
    return (bookkeeping.c.tenant == tenant) & (bookkeeping.c.kind == kind)


def _is(tenant: str, kind: str, name: str) -> ColumnElement[bool]:
    return _are(tenant, kind) & (bookkeeping.c.name == name)


def _text(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
