"""What the rows say of how far an index is, and what lies beyond. All calls block; marks only move forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, delete, exists, or_, select, update
from sqlalchemy import func as sql

from craton.core.knowledge import Document, KnowledgeBase
from craton.index.protocol import Point
from craton.knowledge import tables
from craton.knowledge.ranking.wording import worded
from craton.knowledge.rows import decode, encode
from craton.knowledge.vectors import from_rows
from craton.store.database import Database

_bases, _pieces, _removals = tables.bases.c, tables.pieces.c, tables.removals.c
_documents, _chunks, _sources = tables.documents.c, tables.chunks.c, tables.sources.c


class Marks(Struct, frozen=True):
    """Of one base. epoch counts its indexes from 1; next_epoch is 0 unless a rebuild is under way."""

    base: KnowledgeBase
    epoch: int
    indexed: int
    removed: int
    next_epoch: int
    next_indexed: int


class Points(Struct, frozen=True):
    """points: what a batch of pieces makes. last: the number of its last piece, whether it became a point or not."""

    points: Sequence[Point]
    last: int


def waiting(database: Database) -> list[tuple[str, str]]:
    """(tenant, id) of the bases for which something is to be done."""
    query = select(_bases.tenant, _bases.id).where(
        or_(
            _bases.status == "deleting",
            _bases.next_epoch > 0,
            exists().where(_pieces.tenant == _bases.tenant, _pieces.base == _bases.id, _pieces.number > _bases.indexed),
            exists().where(
                _removals.tenant == _bases.tenant, _removals.base == _bases.id, _removals.number > _bases.removed
            ),
            exists().where(_documents.tenant == _bases.tenant, _documents.base == _bases.id, _documents.pending == -1),
            exists().where(_sources.tenant == _bases.tenant, _sources.base == _bases.id, _sources.status == "deleting"),
        )
    )
    with database.read() as connection:
        return [(row.tenant, row.id) for row in connection.execute(query)]


def read(database: Database, tenant: str, base: str) -> Marks | None:
    with database.read() as connection:
        row = connection.execute(select(tables.bases).where(_is(tenant, base))).one_or_none()
    return None if row is None else _marks(row)


def _marks(row: Row[Any]) -> Marks:
    return Marks(
        decode(row.value, KnowledgeBase), row.epoch, row.indexed, row.removed, row.next_epoch, row.next_indexed
    )


def expected(database: Database, base: KnowledgeBase, indexed: int) -> int:
    """How many points an index must have at least that has seen everything up to this piece."""
    query = select(sql.count()).where(_pieces.tenant == base.tenant, _pieces.base == base.id, _pieces.number <= indexed)
    with database.read() as connection:
        return connection.execute(query).scalar_one()


def next_points(database: Database, base: KnowledgeBase, after: int, limit: int) -> Points | None:
    """The pieces behind this number, in their order; None when there are none."""
    query = (
        select(tables.pieces)
        .where(_pieces.tenant == base.tenant, _pieces.base == base.id, _pieces.number > after)
        .order_by(_pieces.number)
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
        if not rows:
            return None
        documents = _read_documents(connection, base, {row.document for row in rows})
        texts = _read_texts(connection, base, {row.chunk for row in rows})
    points = []
    for row, vector in zip(rows, from_rows([row.vector for row in rows]), strict=True):
        document = documents.get((row.document, row.generation)) or documents.get((row.document, 0))
        chunk = texts.get(row.chunk)
        if document is None or chunk is None:
            continue  # on its way out: its removal follows
        heading, text = chunk
        points.append(
            Point(
                id=row.number,
                vector=vector,
                text=worded(document.title, heading, text[row.start : row.end]),
                metadata=document.metadata,
                access=document.access,
            )
        )
    return Points(points, rows[-1].number)


def _read_documents(connection: Connection, base: KnowledgeBase, ids: set[str]) -> Mapping[tuple[str, int], Document]:
    """What is said of the documents, by generation; under generation 0 what their row says now."""
    query = select(_documents.id, _documents.pending, _documents.value, _documents.next).where(
        _documents.tenant == base.tenant, _documents.id.in_(ids)
    )
    found: dict[tuple[str, int], Document] = {}
    for row in connection.execute(query):
        found[row.id, 0] = decode(row.value, Document)
        if row.pending > 0:
            found[row.id, row.pending] = decode(row.next, Document)
    return found


def _read_texts(connection: Connection, base: KnowledgeBase, numbers: set[int]) -> Mapping[int, tuple[str, str]]:
    """Chunk -> heading and text."""
    query = select(_chunks.number, _chunks.heading, _chunks.text).where(
        _chunks.tenant == base.tenant, _chunks.number.in_(numbers)
    )
    return {row.number: (row.heading, row.text) for row in connection.execute(query)}


def next_removals(database: Database, base: KnowledgeBase, after: int, limit: int) -> tuple[list[int], int]:
    """The pieces to forget, and the number of the last removal among them (0: there are none)."""
    query = (
        select(_removals.number, _removals.piece)
        .where(_removals.tenant == base.tenant, _removals.base == base.id, _removals.number > after)
        .order_by(_removals.number)
        .limit(limit)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [row.piece for row in rows], rows[-1].number if rows else 0


def move_indexed(database: Database, marks: Marks, number: int) -> None:
    """The index of marks.epoch has everything up to this piece."""
    still = _is(marks.base.tenant, marks.base.id) & (_bases.epoch == marks.epoch) & (_bases.indexed < number)
    with database.write() as connection:
        connection.execute(update(tables.bases).where(still).values(indexed=number))


def move_next_indexed(database: Database, marks: Marks, number: int) -> None:
    """Likewise for the index that a rebuild fills; 0 begins it again."""
    still = _is(marks.base.tenant, marks.base.id) & (_bases.next_epoch == marks.next_epoch)
    with database.write() as connection:
        connection.execute(update(tables.bases).where(still).values(next_indexed=number))


def move_removed(database: Database, marks: Marks, number: int) -> None:
    tenant, base = marks.base.tenant, marks.base.id
    with database.write() as connection:
        still = _is(tenant, base) & (_bases.removed < number)
        connection.execute(update(tables.bases).where(still).values(removed=number))
        connection.execute(
            delete(tables.removals).where(
                _removals.tenant == tenant, _removals.base == base, _removals.number <= number
            )
        )


def take_next(database: Database, marks: Marks) -> bool:
    """The rebuilt index takes over, unless pieces came that it has not seen. Whether it did."""
    tenant, base = marks.base.tenant, marks.base.id
    beyond = exists().where(_pieces.tenant == tenant, _pieces.base == base, _pieces.number > marks.next_indexed)
    still = _is(tenant, base) & (_bases.next_epoch == marks.next_epoch) & ~beyond
    with database.write() as connection:
        moved = connection.execute(
            update(tables.bases)
            .where(still)
            .values(epoch=marks.next_epoch, indexed=marks.next_indexed, next_epoch=0, next_indexed=0)
        )
        return moved.rowcount == 1


def begin_again(database: Database, marks: Marks) -> None:
    """The index is lost: an empty one, in a new epoch, takes its place at once."""
    epoch = max(marks.epoch, marks.next_epoch) + 1
    still = _is(marks.base.tenant, marks.base.id) & (_bases.epoch == marks.epoch)
    with database.write() as connection:
        connection.execute(
            update(tables.bases).where(still).values(epoch=epoch, indexed=0, next_epoch=0, next_indexed=0)
        )


def begin_next(connection: Connection, tenant: str, base: str) -> int:
    """Asks for a rebuild, or finds the one that is under way: the epoch of its index."""
    row = connection.execute(select(_bases.epoch, _bases.next_epoch).where(_is(tenant, base))).one()
    if row.next_epoch:
        epoch: int = row.next_epoch
        return epoch
    connection.execute(update(tables.bases).where(_is(tenant, base)).values(next_epoch=row.epoch + 1, next_indexed=0))
    return int(row.epoch) + 1


def tell_failure(database: Database, tenant: str, base: str, failure: str) -> None:
    """What keeps the index from going on, for its owner to see; "" when nothing does."""
    failures = (failure,) if failure else ()
    with database.write() as connection:
        text = connection.scalar(select(_bases.value).where(_is(tenant, base)))
        found = None if text is None else decode(text, KnowledgeBase)
        if found is not None and found.failures != failures:
            value = encode(replace(found, failures=failures))
            connection.execute(update(tables.bases).where(_is(tenant, base)).values(value=value))


def _is(tenant: str, base: str) -> ColumnElement[bool]:
    return (_bases.tenant == tenant) & (_bases.id == base)
