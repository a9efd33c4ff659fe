"""What has changed: a listing held against the ledger. All calls block."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Row, insert, select, update
from sqlalchemy import func as sql

from craton.core.errors import Conflict
from craton.core.knowledge import Document, Location
from craton.data.documents import Item
from craton.knowledge import tables
from craton.knowledge.ingesting.ledger import Ledger
from craton.knowledge.ingesting.work import Known, Task, Work
from craton.knowledge.rows import digest, document_of, encode, new_row
from craton.knowledge.syncing.sweeping import forget

LEAST_SHRINKING = 20  # documents: a smaller source may lose all it has without being asked
BATCH = 200
_rows = tables.documents.c


class Comparing:
    """versions: a digest of whatever else decides what is made of a document's bytes."""

    def __init__(self, ledger: Ledger, versions: str) -> None:
        self._ledger, self._versions = ledger, versions

    def changed(self, items: Sequence[Item]) -> list[Work]:
        """What has to be fetched. What stands as it is gets settled here; so does what an incremental source says is
        gone."""
        known = self._known(items)
        work: list[Work] = []
        same: list[tuple[Known, Item]] = []
        gone: list[str] = []
        for item in items:
            row = known.get(digest(item.key))
            if item.deleted:
                gone += [row.id] if row else []
                continue
            if row is not None:
                equal = (row.etag, row.metadata_etag) == (item.etag, item.metadata_etag)
                if row.seen == self._ledger.order.ingestion and (equal or not item.etag):
                    continue  # settled by an earlier attempt
                if item.etag and equal and row.versions == self._versions:
                    if row.complete:
                        continue  # written by an earlier attempt: it is flipped with the others
                    if row.stands(self._versions):
                        same.append((row, item))
                        continue
            work.append(Work(item, row))
        if same or gone:
            self._settle(same, gone)
        return work

    def _known(self, items: Sequence[Item]) -> dict[str, Known]:
        digests = [digest(item.key) for item in items]
        query = select(tables.documents).where(self._ledger.mine, _rows.key_digest.in_(digests))
        with self._ledger.database.read() as connection:
            return {row.key_digest: _known(row) for row in connection.execute(query)}

    def unchanged(self, known: Known, item: Item) -> None:
        """Fetched, and found to be what is indexed already."""
        self._settle([(known, item)], [])

    def _settle(self, same: Sequence[tuple[Known, Item]], gone: Sequence[str]) -> None:
        ledger = self._ledger
        with ledger.writing() as connection:
            ids = [known.id for known, _ in same]
            connection.execute(
                update(tables.documents)
                .where(_rows.tenant == ledger.tenant, _rows.id.in_(ids))
                .values(seen=ledger.order.ingestion)
            )
            for known, item in same:
                values: dict[str, Any] = {}
                if (known.etag, known.metadata_etag) != (item.etag, item.metadata_etag):
                    values = {"etag": item.etag, "metadata_etag": item.metadata_etag}
                if known.status != "indexed":  # handed in once more
                    values |= {"status": "indexed", "value": encode(replace(known.document, status="indexed"))}
                if values:
                    mine = (_rows.tenant == ledger.tenant) & (_rows.id == known.id)
                    connection.execute(update(tables.documents).where(mine).values(values))
            forget(connection, ledger.tenant, gone, ledger.clock())
            ledger.count(
                connection,
                scanned=len(same),
                skipped=len(same),
                deleted=len(gone),
                metadata_scanned=sum(bool(item.metadata_etag) for _, item in same),
            )

    def failed(self, item: Item, location: Location, reason: str) -> None:
        """The document's row says why; what was indexed of it before stays. It is tried again next time."""
        ledger, now = self._ledger, self._ledger.clock()
        values: dict[str, Any] = {
            "status": "failed",
            "etag": item.etag,
            "metadata_etag": item.metadata_etag,
            "versions": "",  # so that it never looks unchanged
            "seen": ledger.order.ingestion,
            "updated": now,
        }
        with ledger.writing() as connection:
            row = connection.execute(
                select(tables.documents).where(ledger.mine, _rows.key_digest == digest(item.key))
            ).one_or_none()
            if row is None:
                base, source = ledger.order.base, ledger.order.source
                fresh = Document(secrets.token_hex(16), base, source, item.key, location, "failed", now, reason=reason)
                connection.execute(insert(tables.documents).values(new_row(ledger.tenant, fresh) | values))
            else:
                value = replace(document_of(row), status="failed", reason=reason, updated=now)
                if row.pending > 0:  # what was begun of it is swept
                    values |= {"pending": -1, "last": 0, "next": ""}
                mine = (_rows.tenant == ledger.tenant) & (_rows.id == row.id)
                connection.execute(update(tables.documents).where(mine).values(**values, value=encode(value)))
            ledger.count(connection, f"{item.key}: {reason}", scanned=1, failed=1)

    def forget_missing(self, task: Task) -> None:
        """Deletes what a complete listing did not hold. Raises Conflict, with nothing deleted, when that is most of
        the source and nobody has confirmed it."""
        ledger = self._ledger
        missing = (ledger.mine) & (_rows.seen != ledger.order.ingestion) & (_rows.status != "deleting")
        with ledger.database.read() as connection:
            gone = connection.execute(select(sql.count()).where(missing)).scalar_one()
        if task.before >= LEAST_SHRINKING and gone * 2 > task.before and not ledger.order.confirm_shrinking:
            raise Conflict(
                "data source",
                task.source.name,
                f"it does not list {gone:,} of the {task.before:,} documents any more that it had before. Nothing was "
                "deleted. If they are really gone, start the ingestion again with confirm_shrinking",
            )
        while gone:
            ledger.running.check()
            with ledger.writing() as connection:
                ids = list(connection.execute(select(_rows.id).where(missing).limit(BATCH)).scalars())
                forget(connection, ledger.tenant, ids, ledger.clock())
                ledger.count(connection, deleted=len(ids))
            gone = len(ids) if len(ids) == BATCH else 0


def _known(row: Row[Any]) -> Known:
    return Known(
        id=row.id,
        document=document_of(row),
        status=row.status,
        etag=row.etag,
        metadata_etag=row.metadata_etag,
        digest=row.digest,
        versions=row.versions,
        seen=row.seen,
        generation=row.generation,
        complete=row.pending > 0 and row.last > 0,
        settled=row.pending <= 0,
    )
