"""A running batch and its rows: what its process must know, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, cast

from sqlalchemy import ColumnElement, select, update

from craton.batch import rows
from craton.batch.answering import TimedOut
from craton.batch.tables import batches
from craton.batch.values import Batch, Counts, Kind, Status
from craton.core.chat import Json
from craton.core.errors import Throttled
from craton.core.job import Progress, Running
from craton.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

P = ParamSpec("P")
UNIT = "records"
TRIES = 10  # of a write, each of which waits for the others as long as the database does


class Ledger:
    """Blocking, but for coroutines. state: what an earlier attempt saved. clock: seconds since the epoch."""

    def __init__(
        self, running: Running, database: Database, kind: Kind, batch: str, clock: Callable[[], float]
    ) -> None:
        self._running, self._database, self._clock = running, database, clock
        self.tenant, self.attempt = running.job.tenant, running.job.attempt
        self.state: Json = running.load() or {}
        with database.read() as connection:
            self.batch: Batch = rows.find(connection, self.tenant, kind, batch)

    def heed(self) -> None:
        """Raises JobCancelled, JobLost."""
        self._running.check()

    def check(self) -> None:
        """Raises what `heed` does, and TimedOut when the batch's time is over."""
        self.heed()
        if self._clock() >= self.batch.expires:
            raise TimedOut()

    def body(self) -> bytes:
        """Of a single invocation."""
        with self._database.read() as connection:
            return connection.scalar(select(batches.c.body).where(self._mine)) or b""

    async def tell(self, phase: Status, counts: Counts) -> None:
        await _patiently(self._tell, phase, counts)

    async def save(self, state: Json) -> None:
        """For the next attempt, in the place of what was there."""
        await _patiently(self._running.save, state)

    def _tell(self, phase: Status, counts: Counts) -> None:
        values = {name: getattr(counts, name) for name in counts.__struct_fields__}
        told = update(batches).where(self._mine).values(phase=phase, updated=self._clock(), **values)
        with self._running.writing() as context:
            cast("Connection", context).execute(told)
        self._running.report(Progress(counts.done, counts.total, UNIT))

    @property
    def _mine(self) -> ColumnElement[bool]:
        return (batches.c.tenant == self.tenant) & (batches.c.id == self.batch.id)


async def _patiently(write: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """A batch of hours does not fail because the database is busy for half a minute. Raises Throttled in the end."""
    for _ in range(TRIES - 1):
        try:
            await asyncio.to_thread(write, *args, **kwargs)
            return
        except Throttled as error:
            await asyncio.sleep(error.retry_after)
    await asyncio.to_thread(write, *args, **kwargs)
