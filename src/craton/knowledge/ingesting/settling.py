"""The flip: what the index has seen becomes what everybody sees. All calls block."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy import func as sql

from craton.core.knowledge import KnowledgeBase
from craton.knowledge import tables
from craton.knowledge.ingesting.ledger import Ledger
from craton.knowledge.rows import decode

BATCH = 500
_rows, _pieces = tables.documents.c, tables.pieces.c


class Waiting(Struct, frozen=True):
    """documents: written and not flipped. mark: how far the index is. failures: what keeps it from going on."""

    documents: int
    mark: tuple[int, int]
    failures: tuple[str, ...]


class Settling:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._complete = ledger.mine & (_rows.pending > 0) & (_rows.last > 0)

    def waiting(self) -> Waiting:
        bases = tables.bases.c
        with self._ledger.database.read() as connection:
            row = connection.execute(
                select(bases.epoch, bases.indexed, bases.value).where(
                    bases.tenant == self._ledger.tenant, bases.id == self._ledger.order.base
                )
            ).one_or_none()
            documents = connection.execute(select(sql.count()).where(self._complete)).scalar_one()
        if row is None:
            return Waiting(documents, (0, 0), ())
        return Waiting(documents, (row.epoch, row.indexed), decode(row.value, KnowledgeBase).failures)

    def flip(self) -> int:
        """The documents whose last piece is in the index, up to a bounded number. How many those were."""
        ledger, bases = self._ledger, tables.bases.c
        indexed = (
            select(bases.indexed).where(bases.tenant == ledger.tenant, bases.id == ledger.order.base).scalar_subquery()
        )
        ready = self._complete & (_rows.last <= indexed)
        with ledger.database.read() as connection:
            if connection.execute(select(_rows.id).where(ready).limit(1)).one_or_none() is None:
                return 0
        with ledger.writing() as connection:
            found = connection.execute(
                select(_rows.id, _rows.generation, _rows.metadata_etag).where(ready).limit(BATCH)
            ).all()
            new = sum(row.generation == 0 for row in found)
            chosen = (_rows.tenant == ledger.tenant) & _rows.id.in_([row.id for row in found])
            stale = self._with_older(connection, chosen)
            connection.execute(
                update(tables.documents)
                .where(chosen)
                .values(
                    generation=_rows.pending,
                    value=_rows.next,
                    status="indexed",
                    seen=ledger.order.ingestion,
                    pending=0,
                    last=0,
                    next="",
                )
            )
            connection.execute(
                update(tables.documents).where(_rows.tenant == ledger.tenant, _rows.id.in_(stale)).values(pending=-1)
            )
            ledger.count(
                connection,
                scanned=len(found),
                new=new,
                modified=len(found) - new,
                metadata_scanned=sum(bool(row.metadata_etag) for row in found),
            )
        return len(found)

    def _with_older(self, connection: Connection, chosen: ColumnElement[bool]) -> Sequence[str]:
        """Those of the chosen documents that have pieces of other generations, which are to be swept."""
        query = (
            select(_pieces.document)
            .distinct()
            .join(tables.documents, (_rows.tenant == _pieces.tenant) & (_rows.id == _pieces.document))
            .where(chosen, _pieces.tenant == self._ledger.tenant, _pieces.generation != _rows.pending)
        )
        return list(connection.execute(query).scalars())
