"""Scrubbing: every stored byte is read and held against its name, slowly, so that rot is found while it can be mended.

What is damaged or missing is brought back from the replica. Where there is none, a damaged blob is put aside: it is no
longer "there already" for clients, so the next upload of the same file heals it; until then, reading it says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from msgspec import Struct
from sqlalchemy import delete, insert, select, update
from sqlalchemy import func as sql

from craton.core.errors import Damaged, NotFound
from craton.hub.keeping.needs import needed
from craton.hub.keeping.tables import damaged
from craton.hub.tables import stored
from craton.hub.xet.tables import recipe_blobs, recipes, xorbs
from craton.store.blobs import BlobStore
from craton.store.database import Database

PREFIXES = 256


class Scrubbed(Struct):
    """So far. damaged and missing: all of them; repaired: those of them that the replica brought back."""

    blobs: int = 0
    bytes: int = 0
    damaged: int = 0
    missing: int = 0
    repaired: int = 0
    copied: int = 0


class Health(Struct, frozen=True):
    """broken: blobs that are damaged or missing now. repaired: of all times."""

    broken: int = 0
    repaired: int = 0


class Scrubber:
    """Blocking. rate: bytes a second. clock: seconds since the epoch."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        clock: Callable[[], float],
        rate: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database, self._store, self._clock, self._rate, self._sleep = database, store, clock, rate, sleep

    def scrub(self, done: Scrubbed, begin: int = 0) -> Iterator[int]:
        """Goes through 256 parts of about the same size, beginning with this one, and then fills up the replica.

        Counts in `done`; gives the number of parts that are through, often.
        """
        for number in range(begin, PREFIXES):
            yield number
            prefix = f"{number:02x}"
            known = self._needed(prefix)
            for blob in self._store.list(prefix):
                known.discard(blob.digest)
                self._look(blob.digest, done)
                yield number
            for digest in sorted(known):
                if not self._store.exists(digest) and self._is_needed(digest):
                    self._broken(digest, done, missing=True)
        for _ in self._store.catch_up():
            done.copied += 1
            yield PREFIXES

    def health(self) -> Health:
        with self._database.read() as connection:
            broken = select(sql.count()).select_from(damaged).where(damaged.c.repaired.is_(None))
            healed = select(sql.count()).select_from(damaged).where(damaged.c.repaired.is_not(None))
            return Health(connection.scalar(broken) or 0, connection.scalar(healed) or 0)

    def broken(self) -> list[str]:
        """The digests of what is damaged or missing now."""
        with self._database.read() as connection:
            return list(connection.scalars(select(damaged.c.digest).where(damaged.c.repaired.is_(None))))

    def _look(self, digest: str, done: Scrubbed) -> None:
        began, read = time.monotonic(), 0
        try:
            for size in self._store.verify(digest):
                read += size
                done.bytes += size
                ahead = read / self._rate - (time.monotonic() - began)
                if ahead > 0.01:
                    self._sleep(ahead)
        except Damaged:
            self._broken(digest, done, missing=False)
        except NotFound:
            if self._is_needed(digest):  # else it was collected in between
                self._broken(digest, done, missing=True)
        else:
            self._healed(digest)
        done.blobs += 1

    def _broken(self, digest: str, done: Scrubbed, *, missing: bool) -> None:
        repaired = self._store.repair(digest)
        if not repaired and not missing:
            self._store.put_aside(digest)
        done.missing += missing
        done.damaged += not missing
        done.repaired += repaired
        now = self._clock()
        row = {"found": now, "missing": int(missing), "repaired": now if repaired else None}
        with self._database.write() as connection:
            connection.execute(delete(damaged).where(damaged.c.digest == digest))
            connection.execute(insert(damaged).values(digest=digest, **row))

    def _healed(self, digest: str) -> None:
        mine = (damaged.c.digest == digest) & damaged.c.repaired.is_(None)
        with self._database.read() as connection:
            if connection.scalar(select(damaged.c.digest).where(mine)) is None:
                return
        with self._database.write() as connection:
            connection.execute(update(damaged).where(mine).values(repaired=self._clock()))

    def _needed(self, prefix: str) -> set[str]:
        """The blobs whose digest begins so and that rows need. One part of 256: they fit into memory."""
        between = (prefix, f"{prefix}{'g' * 62}")
        with self._database.read() as connection:
            made = set(connection.scalars(select(recipes.c.digest).where(recipes.c.digest.between(*between))))
            files = set(connection.scalars(select(stored.c.digest).where(stored.c.digest.between(*between))))
            chunks = set(connection.scalars(select(xorbs.c.digest).where(xorbs.c.digest.between(*between))))
            parts = set(connection.scalars(select(recipe_blobs.c.blob).where(recipe_blobs.c.blob.between(*between))))
        return files - made | chunks | parts

    def _is_needed(self, digest: str) -> bool:
        with self._database.read() as connection:
            return digest in needed(connection, [digest])
