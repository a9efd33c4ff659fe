"""These nouns as rows: found by id or name, listed by creation. Every query has the tenant in its condition."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, insert, or_, select, tuple_, update

from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.core.job import Running
from craton.customizing import tables
from craton.customizing.values import Customization, CustomModel, Deployment, Throughput

MAX_PAGE = 1000
_LETTERS = string.ascii_lowercase + string.digits


class Kept(Protocol):
    """What all of them have."""

    @property
    def id(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def created(self) -> float: ...


T = TypeVar("T", bound=Kept)


@contextmanager
def writing(running: Running) -> Iterator[Connection]:
    """A write transaction in which the job is this process's own. Raises JobLost."""
    with running.writing() as connection:
        assert isinstance(connection, Connection)
        yield connection


def new_id() -> str:
    """Twelve small letters and digits, as Bedrock's ids have them: 62 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(12))


class Listing(Struct, frozen=True):
    """What a listing asks for. after and before: of the creation, exclusive. contains: a part of the name."""

    size: int = 100
    cursor: str = ""
    after: float | None = None
    before: float | None = None
    contains: str = ""
    status: str = ""
    descending: bool = True


class Rows(Generic[T]):
    """One noun. word: what people call it. columns: attributes that have a column of their own."""

    def __init__(self, table: Table, kind: type[T], word: str, columns: Sequence[str]) -> None:
        self.table, self._kind, self._word = table, kind, word
        self._columns = ("tenant", "id", "name", "created", *columns)

    def insert(self, connection: Connection, value: T) -> None:
        """Raises Conflict when its name is taken."""
        named = (self.table.c.tenant == value.tenant) & (self.table.c.name == value.name)
        if connection.scalar(select(self.table.c.id).where(named)) is not None:
            raise Conflict(self._word, value.name, "the name is in use already; choose another one")
        connection.execute(insert(self.table).values(**self._written(value)))

    def update(self, connection: Connection, value: T) -> None:
        connection.execute(update(self.table).where(self._is(value.tenant, value.id)).values(**self._written(value)))

    def delete(self, connection: Connection, value: T) -> None:
        connection.execute(delete(self.table).where(self._is(value.tenant, value.id)))

    def find(self, connection: Connection, tenant: str, identifier: str) -> T:
        """By id, or by name. Raises NotFound."""
        either = or_(self.table.c.id == identifier, self.table.c.name == identifier)
        query = select(self.table.c.id, self.table.c.value).where(self.table.c.tenant == tenant, either)
        rows = {row.id: row for row in connection.execute(query)}
        found = rows.get(identifier) or next(iter(rows.values()), None)
        if found is None:
            raise NotFound(self._word, identifier[:200])
        return self.read(found.value)

    def read(self, text: str) -> T:
        return msgspec.json.decode(text, type=self._kind)

    def every(self, connection: Connection, condition: ColumnElement[bool]) -> list[T]:
        """Of all tenants, the oldest first: for upkeep alone."""
        query = select(self.table.c.value).where(condition).order_by(self.table.c.created, self.table.c.id)
        return [self.read(text) for text in connection.scalars(query)]

    def listed(self, tenant: str, listing: Listing, *conditions: ColumnElement[bool]) -> Select[Any]:
        """A page's rows and one more, all columns of them. Raises InvalidRequest."""
        if not 1 <= listing.size <= MAX_PAGE:
            raise InvalidRequest(f"must be from 1 to {MAX_PAGE}", "maxResults")
        table = self.table.c
        wanted = [table.tenant == tenant, *conditions]
        if listing.after is not None:
            wanted.append(table.created > listing.after)
        if listing.before is not None:
            wanted.append(table.created < listing.before)
        if listing.contains:
            wanted.append(table.name.contains(listing.contains, autoescape=True))
        place = tuple_(table.created, table.id)
        if listing.cursor:
            at = _read_cursor(listing)
            wanted.append(place < at if listing.descending else place > at)
        order = [column.desc() if listing.descending else column.asc() for column in (table.created, table.id)]
        return select(self.table).where(and_(*wanted)).order_by(*order).limit(listing.size + 1)

    def paged(self, values: list[T], listing: Listing) -> tuple[list[T], str]:
        """The page, and where the next one begins ("" at the end)."""
        if len(values) <= listing.size:
            return values, ""
        last = values[listing.size - 1]
        written = msgspec.json.encode([last.created, last.id, listing.descending])
        return values[: listing.size], base64.urlsafe_b64encode(written).decode()

    def _is(self, tenant: str, id: str) -> ColumnElement[bool]:
        return (self.table.c.tenant == tenant) & (self.table.c.id == id)

    def _written(self, value: T) -> dict[str, Any]:
        columns = {name: getattr(value, name) for name in self._columns}
        return columns | {"value": msgspec.json.encode(value).decode()}


def _read_cursor(listing: Listing) -> tuple[float, str]:
    """Raises InvalidRequest for one that was not given out, or for the other order."""
    try:
        created, id, descending = msgspec.json.decode(
            base64.urlsafe_b64decode(listing.cursor), type=tuple[float, str, bool]
        )
    except ValueError:
        raise InvalidRequest("it was not given out", "nextToken") from None
    if descending != listing.descending:
        raise InvalidRequest("it was given out for the other order", "nextToken")
    return created, id


customizations = Rows(tables.jobs, Customization, "customization job", ("output", "job", "status", "ended"))
custom_models = Rows(tables.models, CustomModel, "custom model", ("base", "job", "status"))
deployments = Rows(tables.deployments, Deployment, "custom model deployment", ("model", "status"))
throughputs = Rows(tables.throughputs, Throughput, "provisioned throughput", ("model", "status"))
