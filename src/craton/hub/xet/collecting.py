"""What may be thrown away, for whoever collects.

Clients remember for weeks which chunks they have uploaded, and then send a shard that names them and nothing else. So a
xorb outlives its last file by WEEKS, counted from when it was last uploaded, named by a shard or told to a client.

The order that is safe: `forget` the files that nothing names any more, `drop` the xorbs whose time is up, then remove
the blobs that are not `needed`. A blob that was just written has no row yet: the collector leaves young blobs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, delete, exists, select

from craton.hub.keeping.quotas import charge
from craton.hub.xet.tables import chunks, files, recipe_blobs, recipes, uses, xorbs
from craton.hub.xet.xorbs import BATCH
from craton.store.database import Database

WEEKS = 4.0
WEEK = 7 * 86400.0


class Collecting:
    """Blocking, safe in threads. clock: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def needed(self) -> Iterator[str]:
        """The digests of all blobs that xorbs or recipes are made of, one batch at a time; some come twice."""
        for column in (xorbs.c.digest, recipe_blobs.c.blob):
            yield from self._values(column)

    def recipes(self) -> Iterator[str]:
        """The digests of all blobs that can be made of chunks: a file of such a one is a copy that may go."""
        yield from self._values(recipes.c.digest)

    def forget(self, tenant: str, digests: Iterable[str]) -> None:
        """The tenant's files with these digests are not named by any commit any more."""
        wanted = list(digests)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            with self._database.write() as connection:
                forget_files(connection, tenant, batch)

    def forget_recipes(self, digests: Iterable[str]) -> None:
        """No tenant has these any more."""
        wanted = list(digests)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            with self._database.write() as connection:
                connection.execute(delete(recipe_blobs).where(recipe_blobs.c.digest.in_(batch)))
                connection.execute(delete(recipes).where(recipes.c.digest.in_(batch)))

    def drop(self, weeks: float = WEEKS) -> int:
        """Takes away the xorbs that no file is made of and that nobody used for so long; returns how many."""
        before = self._clock() - weeks * WEEK
        used = exists().where(uses.c.tenant == xorbs.c.tenant, uses.c.xorb == xorbs.c.hash)
        idle = select(xorbs.c.tenant, xorbs.c.hash, xorbs.c.size).where(xorbs.c.used < before, ~used).limit(BATCH)
        dropped = 0
        while True:
            with self._database.write() as connection:  # found and dropped in one: a shard that comes now finds none
                found = connection.execute(idle).all()
                for tenant, hash, size in found:
                    connection.execute(delete(chunks).where(chunks.c.tenant == tenant, chunks.c.xorb == hash))
                    connection.execute(delete(xorbs).where(xorbs.c.tenant == tenant, xorbs.c.hash == hash))
                    charge(connection, tenant, -size, chunks=True)
            dropped += len(found)
            if len(found) < BATCH:
                return dropped

    def _values(self, column: ColumnElement[str]) -> Iterator[str]:
        last = ""
        while True:
            with self._database.read() as connection:
                found = connection.scalars(
                    select(column).where(column > last).distinct().order_by(column).limit(BATCH)
                ).all()
            yield from found
            if len(found) < BATCH:
                return
            last = found[-1]


def forget_files(connection: Connection, tenant: str, digests: Iterable[str]) -> None:
    """Some hundred of them at most, in the transaction in which the tenant loses them."""
    named = (files.c.tenant == tenant) & files.c.digest.in_(list(digests))
    mine = select(files.c.hash).where(named)
    connection.execute(delete(uses).where(uses.c.tenant == tenant, uses.c.file.in_(mine)))
    connection.execute(delete(files).where(named))
