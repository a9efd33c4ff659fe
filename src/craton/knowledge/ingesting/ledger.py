"""An ingestion's own row, and the transactions in which it writes. All calls block.

A document is counted in the statistics in the transaction that settles it (found unchanged, failed, flipped), where it
is also marked as seen by this ingestion: an attempt that goes on after a kill counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, cast

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy import func as sql

from craton.core.errors import Conflict, NotFound
from craton.core.job import Running
from craton.core.knowledge import DataSource, Ingestion, Statistics
from craton.knowledge import tables
from craton.knowledge.ingesting.direct import newest
from craton.knowledge.ingesting.work import Order, Task
from craton.knowledge.rows import decode, documents_of, encode, find_base, source_row
from craton.knowledge.syncing.sweeping import abandon
from craton.store.database import Database

FAILURES = 20  # named in the ingestion; the ledger has all of them
_REASON = 500  # characters of one


class Ledger:
    """Safe in threads: transactions are one at a time, and `statistics` is replaced whole."""

    def __init__(self, running: Running, database: Database, order: Order, clock: Callable[[], float]) -> None:
        self.running, self.database, self.order, self.clock = running, database, order, clock
        self.tenant = running.job.tenant
        self.mine = documents_of(self.tenant, order.base, order.source)
        self.statistics = Statistics()
        """As of the last transaction."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction of a job that still counts, for a source that is still there.

        Raises JobLost, and Conflict when the base or the source was deleted.
        """
        with self.running.writing() as opened:
            connection = cast("Connection", opened)
            sources, bases = tables.sources.c, tables.bases.c
            there = connection.execute(
                select(sources.id)
                .join(tables.bases, (bases.tenant == sources.tenant) & (bases.id == sources.base))
                .where(self._source(), sources.status != "deleting", bases.status != "deleting")
            ).one_or_none()
            if there is None:
                raise Conflict("data source", self.order.source, "it was deleted while it was being read")
            yield connection

    def begin(self) -> Task:
        """Raises Conflict when there is nothing to bring documents into any more."""
        state = self.running.load()
        if state is None:
            self._abandon()  # what one before this left behind may not be in the source any more
        with self.writing() as connection:
            base = find_base(connection, self.tenant, self.order.base)
            row = source_row(connection, self.tenant, self.order.base, self.order.source)
            ingestion, ended = self._ingestion(connection)
            self.statistics = ingestion.statistics
            if not ended:
                self._store(connection, replace(ingestion, status="in_progress"))
            documents = tables.documents.c
            counted = select(sql.count()).where(self.mine, documents.status != "deleting")
            before = connection.execute(counted).scalar_one()
        if state is None:
            self.running.save({"before": before})
        else:
            before = state["before"]
        return Task(base, decode(row.value, DataSource), row.cursor, before, ended)

    def finish(self, cursor: str | None, kept: str | None) -> bool:
        """The end, unless documents were handed in behind `cursor` meanwhile (False). kept: for the source's row.

        Whoever hands something in looks for an ingestion that has not ended, in the same transaction: so it is either
        seen here or starts the next one.
        """
        with self.writing() as connection:
            source = decode(source_row(connection, self.tenant, self.order.base, self.order.source).value, DataSource)
            if source.spec.kind == "direct" and newest(connection, source) > int(cursor or 0):
                return False
            connection.execute(update(tables.sources).where(self._source()).values(cursor=kept))
            ingestion, _ = self._ingestion(connection)
            done = replace(ingestion, status="complete", total=ingestion.done)
            self._store(connection, done, ended=True)
        return True

    def end(self, status: Literal["failed", "stopped"], reason: str = "") -> None:
        """Raises JobLost."""
        self._abandon()
        with self.running.writing() as opened:
            connection = cast("Connection", opened)
            try:
                ingestion, ended = self._ingestion(connection)
            except NotFound:
                return  # it went with its base
            if not ended:
                failures = (reason, *ingestion.failures) if reason else ingestion.failures
                self._store(connection, replace(ingestion, status=status, failures=failures), ended=True)

    def _abandon(self) -> None:
        """Before the row says that the ingestion has ended: then the next one may begin."""
        more = True
        while more:
            with self.running.writing() as opened:
                more = abandon(cast("Connection", opened), self.mine, self.clock())

    def count(self, connection: Connection, failure: str = "", **counts: int) -> None:
        """Adds to the statistics, by their fields' names."""
        ingestion, _ = self._ingestion(connection)
        before = ingestion.statistics
        added = replace(before, **{name: getattr(before, name) + number for name, number in counts.items()})
        failures = ingestion.failures
        if failure and len(failures) < FAILURES:
            failures = (*failures, failure if len(failure) <= _REASON else f"{failure[: _REASON - 4]} ...")
        self._store(connection, replace(ingestion, statistics=added, failures=failures, done=added.scanned))
        self.statistics = added

    def _ingestion(self, connection: Connection) -> tuple[Ingestion, bool]:
        row = connection.execute(select(tables.ingestions).where(self._mine())).one_or_none()
        if row is None:
            raise NotFound("ingestion job", self.order.ingestion)
        return decode(row.value, Ingestion), bool(row.ended)

    def _store(self, connection: Connection, ingestion: Ingestion, *, ended: bool = False) -> None:
        value = encode(replace(ingestion, updated=self.clock()))
        connection.execute(update(tables.ingestions).where(self._mine()).values(value=value, ended=ended))

    def _mine(self) -> ColumnElement[bool]:
        table = tables.ingestions.c
        return (
            (table.tenant == self.tenant)
            & (table.base == self.order.base)
            & (table.source == self.order.source)
            & (table.id == self.order.ingestion)
        )

    def _source(self) -> ColumnElement[bool]:
        table = tables.sources.c
        return (table.tenant == self.tenant) & (table.base == self.order.base) & (table.id == self.order.source)
