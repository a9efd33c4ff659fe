"""Chunks and pieces into rows, as a generation that nobody sees yet. All calls block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy import func as sql

from craton.hub.keeping.condemned import reprieve
from craton.knowledge import tables
from craton.knowledge.ingesting.ledger import Ledger
from craton.knowledge.ingesting.work import Prepared, Slice
from craton.knowledge.rows import digest, document_of, encode, new_row
from craton.store.blobs import Blobs

_LOOKUPS = 500  # digests in one statement
_rows, _pieces = tables.documents.c, tables.pieces.c


class Writing:
    """Slices of one document come in their order."""

    def __init__(self, ledger: Ledger, versions: str, blobs: Blobs) -> None:
        self._ledger, self._versions, self._blobs = ledger, versions, blobs

    def cached(self, digests: Sequence[str]) -> dict[str, bytes]:
        """The vectors that this tenant's rows already have, by the digest of what was embedded."""
        found: dict[str, bytes] = {}
        with self._ledger.database.read() as connection:
            for at in range(0, len(digests), _LOOKUPS):
                query = select(_pieces.embedded, _pieces.vector).where(
                    _pieces.tenant == self._ledger.tenant, _pieces.embedded.in_(digests[at : at + _LOOKUPS])
                )
                found.update((row.embedded, row.vector) for row in connection.execute(query))
        return found

    def write(self, slices: Sequence[Slice]) -> None:
        """All of them in one transaction; what was overtaken (deleted, handed in anew) is left out and marked so."""
        with self._ledger.writing() as connection:
            self._begin(connection, [part.prepared for part in slices if part.begins])
            self._notice_overtaken(connection, {id(part.prepared): part.prepared for part in slices}.values())
            live = [part for part in slices if not part.prepared.overtaken]
            self._insert_chunks(connection, [part for part in live if part.begins_chunk])
            self._insert_pieces(connection, live)
            self._complete(connection, [part.prepared for part in live if part.ends])

    def _begin(self, connection: Connection, beginning: Sequence[Prepared]) -> None:
        ledger, now = self._ledger, self._ledger.clock()
        reprieve(connection, self._blobs, [prepared.document.text for prepared in beginning])
        keys = [digest(prepared.document.key) for prepared in beginning]
        found = connection.execute(select(tables.documents).where(ledger.mine, _rows.key_digest.in_(keys)))
        known = {row.key_digest: row for row in found}
        newest = self._generations(connection, [row.id for row in known.values()])
        for prepared, key in zip(beginning, keys, strict=True):
            row = known.get(key)
            if row is not None:
                prepared.document = replace(prepared.document, id=row.id)
            document = replace(prepared.document, updated=now)
            values: dict[str, Any] = {
                "pending": _next_generation(row, newest),
                "last": 0,
                "next": encode(document),
                "etag": prepared.work.item.etag,
                "metadata_etag": prepared.work.item.metadata_etag,
                "digest": prepared.digest,
                "versions": self._versions,
                "status": "in_progress",
                "updated": now,
            }
            prepared.generation = values["pending"]
            if row is None or row.generation == 0:
                values["value"] = encode(replace(document, status="in_progress"))
            else:
                values["value"] = encode(replace(document_of(row), status="in_progress", reason=""))
            if row is None:
                connection.execute(insert(tables.documents).values(new_row(ledger.tenant, document) | values))
            else:
                mine = (_rows.tenant == ledger.tenant) & (_rows.id == row.id)
                connection.execute(update(tables.documents).where(mine).values(values))

    def _generations(self, connection: Connection, ids: Sequence[str]) -> dict[str, int]:
        """The newest generation that any row of these documents belongs to."""
        query = (
            select(_pieces.document, sql.max(_pieces.generation).label("newest"))
            .where(_pieces.tenant == self._ledger.tenant, _pieces.document.in_(ids))
            .group_by(_pieces.document)
        )
        return {row.document: row.newest for row in connection.execute(query)} if ids else {}

    def _notice_overtaken(self, connection: Connection, under_way: Iterable[Prepared]) -> None:
        prepared = list(under_way)
        query = select(_rows.id, _rows.pending).where(
            _rows.tenant == self._ledger.tenant, _rows.id.in_([each.document.id for each in prepared])
        )
        pending = {row.id: row.pending for row in connection.execute(query)}
        for each in prepared:
            each.overtaken = pending.get(each.document.id) != each.generation

    def _insert_chunks(self, connection: Connection, beginning: Sequence[Slice]) -> None:
        if not beginning:
            return
        rows = [
            {
                "tenant": self._ledger.tenant,
                "base": self._ledger.order.base,
                "document": part.prepared.document.id,
                "generation": part.prepared.generation,
                "start": chunk.start,
                "end": chunk.end,
                "page": chunk.page,
                "heading": chunk.heading,
                "text": part.text(),
            }
            for part in beginning
            for chunk in (part.prepared.chunks[part.index],)
        ]
        numbers = connection.execute(
            insert(tables.chunks).returning(tables.chunks.c.number, sort_by_parameter_order=True), rows
        ).scalars()
        for part, number in zip(beginning, numbers, strict=True):
            part.chunk = number

    def _insert_pieces(self, connection: Connection, slices: Sequence[Slice]) -> None:
        rows: list[dict[str, Any]] = []
        for part in slices:
            if part.begins_chunk:
                part.prepared.chunk = part.chunk
            rows += [
                {
                    "tenant": self._ledger.tenant,
                    "base": self._ledger.order.base,
                    "chunk": part.prepared.chunk,
                    "document": part.prepared.document.id,
                    "generation": part.prepared.generation,
                    "start": start,
                    "end": end,
                    "embedded": embedded,
                    "vector": vector,
                }
                for (start, end), embedded, vector in zip(part.pieces, part.digests, part.vectors, strict=True)
            ]
        if rows:
            connection.execute(insert(tables.pieces), rows)

    def _complete(self, connection: Connection, ended: Sequence[Prepared]) -> None:
        """From now on the generation only waits for the index."""
        if not ended:
            return
        query = (
            select(_pieces.document, sql.max(_pieces.number).label("last"))
            .join(tables.documents, (_rows.tenant == _pieces.tenant) & (_rows.id == _pieces.document))
            .where(
                _pieces.tenant == self._ledger.tenant,
                _pieces.document.in_([prepared.document.id for prepared in ended]),
                _pieces.generation == _rows.pending,
            )
            .group_by(_pieces.document)
        )
        for row in connection.execute(query).all():
            mine = (_rows.tenant == self._ledger.tenant) & (_rows.id == row.document)
            connection.execute(update(tables.documents).where(mine).values(last=row.last))
        again = sum(prepared.same_bytes for prepared in ended)
        if again:
            self._ledger.count(connection, metadata_modified=again)


def _next_generation(row: Row[Any] | None, newest: dict[str, int]) -> int:
    return 1 if row is None else 1 + max(row.generation, row.pending, newest.get(row.id, 0), 0)
