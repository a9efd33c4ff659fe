"""Collection: the bytes that nobody needs any more are given back. It may be killed anywhere, and begun again.

    1  every tree is read, and what it names is marked
    2  a tenant's file that no tree names, and that was not used for `grace`, is forgotten; its quota gets the room back
    3  xorbs that no file is made of and no client can remember are forgotten (hub/xet/collecting.py)
    4  what an earlier collection condemned, at least `hold` ago, and still nobody needs, is removed
    5  a blob that no row needs, and that was not put for `grace`, is condemned

Rows go before bytes, so whatever a kill leaves is bytes too many, which the next collection finds. Against uploads and
commits that run meanwhile: a commit claims its files in its transaction (`files.claim_files`), so step 2, which looks
again in its own, sees that they are used, or the commit sees that they are gone; and see `condemned`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection, delete, exists, insert, select, tuple_, update

from craton.core.errors import Damaged, NotFound
from craton.hub.keeping.marks import Marks
from craton.hub.keeping.needs import Named, mark_named, mark_trees, needed
from craton.hub.keeping.quotas import charge
from craton.hub.keeping.tables import condemned
from craton.hub.tables import stored
from craton.hub.xet.collecting import WEEKS, Collecting, forget_files
from craton.hub.xet.tables import recipe_blobs, recipes
from craton.store.blobs import BlobStore, Listed
from craton.store.database import Database

BATCH = 200  # rows looked at in one transaction
REMOVED_AT_ONCE = 20  # blobs, while all writers wait
WARNED = 24 * 3600.0  # seconds that a row tells slow writers of a removal, at least


class Collected(Struct, frozen=True):
    """forgotten: files of tenants; condemned: blobs for the next time; removed: blobs, of so many bytes."""

    forgotten: int = 0
    xorbs: int = 0
    condemned: int = 0
    removed: int = 0
    bytes: int = 0


Progress = Callable[[str, int], None]
"""What is being done, and how many were done."""


class Collector:
    """Blocking. grace and hold: seconds; `grace` is longer than any upload takes to get its row.

    named: what other nouns' rows need. clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        named: Collection[Named],
        clock: Callable[[], float],
        grace: float,
        *,
        hold: float = 3600.0,
        weeks: float = WEEKS,
    ) -> None:
        self._database, self._store, self._named, self._clock = database, store, named, clock
        self._grace, self._hold, self._weeks = grace, hold, weeks

    def collect(self, progress: Progress = lambda what, count: None) -> Collected:
        began = self._clock()
        marks = mark_trees(self._database, lambda count: progress("reading trees", count))
        forgotten = self._forget(marks, began - self._grace, progress)
        self._forget_recipes()
        xorbs = Collecting(self._database, self._clock).drop(self._weeks)
        elsewhere = mark_named(self._named)
        removed, size = self._remove(elsewhere, began, progress)
        new = self._condemn(elsewhere, began, progress)
        return Collected(forgotten, xorbs, new, removed, size)

    # --- files of tenants -----------------------------------------------------------------------------------

    def _forget(self, marks: Marks, before: float, progress: Progress) -> int:
        """Files that were not used since and that no tree names."""
        key, count = ("", ""), 0
        order = (stored.c.tenant, stored.c.digest)
        old = stored.c.used < before
        while True:
            with self._database.read() as connection:
                query = select(*order).where(tuple_(*order) > key, old).order_by(*order).limit(BATCH)
                found = connection.execute(query).all()
            for tenant in dict.fromkeys(row.tenant for row in found):
                mine = [row.digest for row in found if row.tenant == tenant and (tenant, row.digest) not in marks]
                if mine:
                    with self._database.write() as connection:
                        count += _release(connection, tenant, mine, before)
            progress("forgetting files", count)
            if len(found) < BATCH:
                return count
            key = (found[-1].tenant, found[-1].digest)

    def _forget_recipes(self) -> None:
        """Those whose file no tenant has."""
        owned = exists().where(stored.c.digest == recipes.c.digest)
        while True:
            with self._database.write() as connection:
                gone = connection.scalars(select(recipes.c.digest).where(~owned).limit(BATCH)).all()
                connection.execute(delete(recipe_blobs).where(recipe_blobs.c.digest.in_(gone)))
                connection.execute(delete(recipes).where(recipes.c.digest.in_(gone)))
            if len(gone) < BATCH:
                return

    # --- blobs ----------------------------------------------------------------------------------------------

    def _condemn(self, elsewhere: Marks, began: float, progress: Progress) -> int:
        """Blobs that are old, and that no row needs."""
        listed, count = iter(self._store.list()), 0
        while batch := list(islice(listed, BATCH)):
            old = [it.digest for it in batch if it.modified < began - self._grace and (it.digest,) not in elsewhere]
            if not old:
                continue
            with self._database.read() as connection:
                known = set(connection.scalars(select(condemned.c.digest).where(condemned.c.digest.in_(old))))
                new = set(old) - known - needed(connection, old)
            if new:
                with self._database.write() as connection:
                    new -= needed(connection, new)
                    now = self._clock()
                    if new:
                        connection.execute(insert(condemned), [{"digest": it, "since": now} for it in sorted(new)])
            count += len(new)
            progress("looking for what nobody needs", count)
        return count

    def _remove(self, elsewhere: Marks, began: float, progress: Progress) -> tuple[int, int]:
        """What was condemned long enough ago; how many blobs, of how many bytes."""
        table, count, size, last = condemned.c, 0, 0, ""
        waiting = table.removed.is_(None) & (table.since <= began - self._hold)
        while True:
            with self._database.write() as connection:
                query = select(table.digest, table.since).where(waiting, table.digest > last)
                found = connection.execute(query.order_by(table.digest).limit(REMOVED_AT_ONCE)).all()
                wanted = needed(connection, [row.digest for row in found]) if found else set()
                for row in found:
                    last = row.digest
                    blob = self._stat(row.digest)
                    young = blob is not None and blob.modified > began - self._grace
                    if row.digest in wanted or (row.digest,) in elsewhere or young:
                        connection.execute(delete(condemned).where(table.digest == row.digest))
                        continue
                    self._store.remove(row.digest)
                    connection.execute(update(condemned).where(table.digest == row.digest).values(removed=began))
                    count += 1
                    size += blob.size if blob is not None else 0
                over = table.removed < began - max(2 * self._grace, WARNED)
                connection.execute(delete(condemned).where(over))
            progress("removing", count)
            if len(found) < REMOVED_AT_ONCE:
                return count, size

    def _stat(self, digest: str) -> Listed | None:
        with suppress(NotFound, Damaged):
            return self._store.stat(digest)
        return None


def _release(connection: Connection, tenant: str, digests: list[str], before: float) -> int:
    """Those of the tenant's files that are still unused."""
    mine = (stored.c.tenant == tenant) & stored.c.digest.in_(digests) & (stored.c.used < before)
    sizes = {row.digest: row.size for row in connection.execute(select(stored.c.digest, stored.c.size).where(mine))}
    if sizes:
        forget_files(connection, tenant, sizes)
        connection.execute(delete(stored).where(stored.c.tenant == tenant, stored.c.digest.in_(sizes)))
        charge(connection, tenant, -sum(sizes.values()), -len(sizes))
    return len(sizes)
