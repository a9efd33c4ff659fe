"""The queries of discussions and their events, inside one transaction. `reached` says whose they are."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, and_, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, NotFound
from craton.hub.changes import Place
from craton.hub.collaboration.bounds import MAX_EVENTS
from craton.hub.collaboration.tables import discussions, events
from craton.hub.collaboration.words import Comment, Content, Discussion, Event, Filter, Pull, Status
from craton.hub.tables import repositories

_table = discussions.c
_FIELDS = (
    _table.number,
    _table.author,
    _table.title,
    _table.status,
    _table.created,
    _table.comments,
    _table.is_pull,
    _table.target,
    _table.base,
    _table.merged,
)
_encode = msgspec.json.Encoder().encode
_decode: msgspec.json.Decoder[Content] = msgspec.json.Decoder(Content)


def new_id() -> str:
    """24 hex digits, as clients know ids."""
    return secrets.token_hex(12)


def check_there(connection: Connection, place: Place) -> None:
    """What is written about a repository must not outlive it. Raises NotFound when it was deleted in between."""
    table = repositories.c
    if connection.scalar(select(table.id).where(table.tenant == place.owner, table.id == place.id)) is None:
        raise NotFound("repository", place.repo.path)


def _in(place: Place) -> ColumnElement[bool]:
    return and_(_table.tenant == place.owner, _table.repository == place.id)


def _one(place: Place, number: int) -> ColumnElement[bool]:
    return and_(_in(place), _table.number == number)


def find(connection: Connection, place: Place, number: int) -> Discussion:
    """Raises NotFound."""
    row = connection.execute(select(*_FIELDS).where(_one(place, number))).one_or_none()
    if row is None:
        raise NotFound("discussion", str(number))
    return _discussion(row)


def page(connection: Connection, place: Place, asked: Filter, offset: int, limit: int) -> tuple[list[Discussion], int]:
    """Those that match, newest first, and how many there are in all."""
    wanted = _matching(place, asked)
    total = connection.scalar(select(func.count()).select_from(discussions).where(wanted)) or 0
    query = select(*_FIELDS).where(wanted).order_by(_table.number.desc()).offset(offset).limit(limit)
    return [_discussion(row) for row in connection.execute(query)], total


def _matching(place: Place, asked: Filter) -> ColumnElement[bool]:
    wanted = _in(place)
    if asked.pulls is not None:
        wanted &= _table.is_pull.is_(asked.pulls)
    if asked.status is not None:
        wanted &= _table.status.in_(("open", "draft") if asked.status == "open" else ("closed", "merged"))
    if asked.author is not None:
        wanted &= _table.author == asked.author
    return wanted


def add(
    connection: Connection, place: Place, author: str, title: str, status: Status, now: float, pull: Pull | None
) -> Discussion:
    """A discussion with the next number and no event yet."""
    check_there(connection, place)
    number = (connection.scalar(select(func.max(_table.number)).where(_in(place))) or 0) + 1
    connection.execute(
        insert(discussions).values(
            tenant=place.owner,
            repository=place.id,
            number=number,
            author=author,
            title=title,
            status=status,
            created=now,
            is_pull=pull is not None,
            events=0,
            comments=0,
            target=pull.target if pull else "",
            base=pull.base if pull else None,
            merged=None,
        )
    )
    return Discussion(number, author, title, status, now, 0, pull)


def change(connection: Connection, place: Place, number: int, **values: str) -> None:
    """Sets title, status or merged."""
    connection.execute(update(discussions).where(_one(place, number)).values(values))


def append(connection: Connection, place: Place, number: int, author: str, content: Content, now: float) -> Event:
    """Raises Conflict when the discussion is full."""
    position: int = connection.scalars(select(_table.events).where(_one(place, number))).one()
    if position >= MAX_EVENTS:
        raise Conflict("discussion", str(number), f"it has {MAX_EVENTS:,} events; open another one")
    event = Event(new_id(), author, now, content)
    connection.execute(
        insert(events).values(
            tenant=place.owner,
            repository=place.id,
            number=number,
            position=position,
            id=event.id,
            author=author,
            created=now,
            content=_encode(content).decode(),
        )
    )
    comments = _table.comments + (1 if isinstance(content, Comment) else 0)
    connection.execute(update(discussions).where(_one(place, number)).values(events=position + 1, comments=comments))
    return event


def all_events(connection: Connection, place: Place, number: int) -> Iterator[Event]:
    """In the order in which they happened."""
    found = connection.execute(_events(place, number).order_by(events.c.position))
    return (Event(row.id, row.author, row.created, _decode.decode(row.content)) for row in found)


def find_event(connection: Connection, place: Place, number: int, event: str) -> Event:
    """Raises NotFound."""
    row = connection.execute(_events(place, number).where(events.c.id == event)).one_or_none()
    if row is None:
        raise NotFound("comment", event[:64])
    return Event(row.id, row.author, row.created, _decode.decode(row.content))


def rewrite(connection: Connection, place: Place, number: int, event: str, content: Content) -> None:
    mine = (events.c.tenant == place.owner) & (events.c.repository == place.id)
    connection.execute(
        update(events)
        .where(mine, events.c.number == number, events.c.id == event)
        .values(content=_encode(content).decode())
    )


def _events(place: Place, number: int) -> Select[Any]:
    table = events.c
    return select(table.id, table.author, table.created, table.content).where(
        table.tenant == place.owner, table.repository == place.id, table.number == number
    )


def _discussion(row: Row[*tuple[Any, ...]]) -> Discussion:
    pull = Pull(row.target, row.base, row.merged) if row.is_pull else None
    return Discussion(row.number, row.author, row.title, row.status, row.created, row.comments, pull)
