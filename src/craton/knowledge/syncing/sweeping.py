"""Taking away what nobody sees any more, a bounded number of rows in each transaction.

What is taken from the pieces is noted as a removal in the same transaction, so that the index forgets it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, case, delete, insert, select, update

from craton.core.knowledge import DataSource, Document, KnowledgeBase
from craton.knowledge import tables
from craton.knowledge.rows import decode, delete_limited, encode
from craton.store.database import Database

ROWS = 1000  # of one transaction
DOCUMENTS = 200

_documents, _pieces, _chunks = tables.documents.c, tables.pieces.c, tables.chunks.c


def forget(connection: Connection, tenant: str, ids: Sequence[str], now: float) -> None:
    """Documents that nobody sees from now on; their keys are free again, their rows are swept later."""
    for row in connection.execute(
        select(_documents.id, _documents.value).where(_documents.tenant == tenant, _documents.id.in_(ids))
    ).all():
        connection.execute(
            update(tables.documents)
            .where(_documents.tenant == tenant, _documents.id == row.id)
            .values(
                status="deleting",
                generation=0,
                pending=-1,
                last=0,
                next="",
                key_digest=row.id,
                updated=now,
                value=encode(replace(decode(row.value, Document), status="deleting", updated=now)),
            )
        )


def abandon(connection: Connection, mine: ColumnElement[bool], now: float) -> bool:
    """What an ingestion had begun of some of these documents and nobody sees comes to nothing: it is swept, and the
    next ingestion takes them up from their beginning. Whether there may be more."""
    begun = mine & (_documents.pending > 0)
    rows = connection.execute(select(tables.documents).where(begun).limit(DOCUMENTS)).all()
    for row in rows:
        status: Literal["indexed", "pending"] = "indexed" if row.generation else "pending"
        connection.execute(
            update(tables.documents)
            .where(_documents.tenant == row.tenant, _documents.id == row.id)
            .values(
                status=status,
                pending=-1,
                last=0,
                next="",
                versions="",  # so that it never looks unchanged: what its etag names is not what is indexed
                updated=now,
                value=encode(replace(decode(row.value, Document), status=status, updated=now)),
            )
        )
    return len(rows) == DOCUMENTS


def sweep_documents(database: Database, tenant: str, base: str) -> bool:
    """Some of what no document's generation holds. Whether there may be more."""
    with database.read() as connection:
        waiting = [
            row.id
            for row in connection.execute(
                select(_documents.id)
                .where(_documents.tenant == tenant, _documents.base == base, _documents.pending == -1)
                .limit(DOCUMENTS)
            )
        ]
    if not waiting:
        return False
    with database.write() as connection:
        chosen = (_documents.tenant == tenant) & _documents.id.in_(waiting) & (_documents.pending == -1)
        if _sweep_pieces(connection, tenant, base, chosen) or _sweep_chunks(connection, tenant, chosen):
            return True
        connection.execute(delete(tables.documents).where(chosen, _documents.status == "deleting"))
        connection.execute(update(tables.documents).where(chosen).values(pending=0))
    return True


def _sweep_pieces(connection: Connection, tenant: str, base: str, chosen: ColumnElement[bool]) -> bool:
    """Whether it came to its limit."""
    stale = [
        row.number
        for row in connection.execute(
            select(_pieces.number)
            .join(tables.documents, (_documents.tenant == _pieces.tenant) & (_documents.id == _pieces.document))
            .where(_pieces.tenant == tenant, chosen, _pieces.generation != _documents.generation)
            .limit(ROWS)
        )
    ]
    remove_pieces(connection, tenant, base, stale)
    return len(stale) == ROWS


def remove_pieces(connection: Connection, tenant: str, base: str, numbers: Sequence[int]) -> None:
    if numbers:
        removed = [{"tenant": tenant, "base": base, "piece": number} for number in numbers]
        connection.execute(insert(tables.removals), removed)
        connection.execute(delete(tables.pieces).where(_pieces.number.in_(numbers)))


def _sweep_chunks(connection: Connection, tenant: str, chosen: ColumnElement[bool]) -> bool:
    stale = [
        row.number
        for row in connection.execute(
            select(_chunks.number)
            .join(tables.documents, (_documents.tenant == _chunks.tenant) & (_documents.id == _chunks.document))
            .where(_chunks.tenant == tenant, chosen, _chunks.generation != _documents.generation)
            .limit(ROWS)
        )
    ]
    if stale:
        connection.execute(delete(tables.chunks).where(_chunks.number.in_(stale)))
    return len(stale) == ROWS


def sweep_source(database: Database, tenant: str, base: str, now: float) -> bool:
    """One step of deleting a source of this base, if one is to be deleted. Whether there may be more to do.

    Its documents go first (unless they are to be kept), then everything else, then its own row.
    """
    table = tables.sources.c
    with database.write() as connection:
        row = connection.execute(
            select(table.value).where(table.tenant == tenant, table.base == base, table.status == "deleting").limit(1)
        ).one_or_none()
        if row is None:
            return False
        source = decode(row.value, DataSource)
        if source.keep_on_delete:
            mine = (_documents.tenant == tenant) & (_documents.base == base) & (_documents.source == source.id)
            if abandon(connection, mine, now):
                return True
        else:
            left = connection.execute(
                select(_documents.id, _documents.status)
                .where(_documents.tenant == tenant, _documents.base == base, _documents.source == source.id)
                .order_by(case((_documents.status == "deleting", 1), else_=0))
                .limit(DOCUMENTS)
            ).all()
            fresh = [document.id for document in left if document.status != "deleting"]
            if fresh:
                forget(connection, tenant, fresh, now)
                return True
            if left:
                return False  # they are swept first, then this comes again
        for part in (tables.direct, tables.ingestions):
            mine = (part.c.tenant == tenant) & (part.c.base == base) & (part.c.source == source.id)
            if delete_limited(connection, part, mine, ROWS) == ROWS:
                return True
        connection.execute(
            delete(tables.sources).where(table.tenant == tenant, table.base == base, table.id == source.id)
        )
    return True


def sweep_base(database: Database, base: KnowledgeBase) -> bool:
    """One step of deleting a base whose index is gone. False when nothing is left of it."""
    with database.write() as connection:
        for part in (
            tables.sources,  # first: an ingestion that still runs stops at its next write
            tables.pieces,
            tables.chunks,
            tables.documents,
            tables.removals,
            tables.direct,
            tables.ingestions,
        ):
            mine = (part.c.tenant == base.tenant) & (part.c.base == base.id)
            if delete_limited(connection, part, mine, ROWS) == ROWS:
                return True
        table = tables.bases.c
        connection.execute(delete(tables.bases).where(table.tenant == base.tenant, table.id == base.id))
    return False
