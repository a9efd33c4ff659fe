"""The xorbs that a tenant has uploaded, each stored as a blob once all of its hashes were found right.

Knowing a xorb's hash is no right to it: every look is at the tenant's own rows, and what another tenant uploaded is as
absent as what nobody did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from craton.core.errors import Damaged, InvalidRequest
from craton.formats.xet.hashes import from_text, to_text
from craton.formats.xet.xorbs import Layout, Xorb
from craton.hub.keeping.condemned import reprieve
from craton.hub.keeping.quotas import charge, check_room
from craton.hub.xet.chunks import is_landmark, note_chunks
from craton.hub.xet.tables import xorbs
from craton.store.blobs import Blobs
from craton.store.database import Database

BATCH = 500  # values in one SQL statement


class StoredXorb(Struct, frozen=True):
    """digest and size: of the blob with the stored chunks."""

    digest: str
    size: int
    layout: Layout


class Xorbs:
    """Blocking, safe in threads."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float]) -> None:
        self._database, self._blobs, self._clock = database, blobs, clock

    def add(self, tenant: str, hash: str, pieces: Iterable[bytes]) -> bool:
        """Takes a xorb in. Returns whether the tenant did not have it.

        Raises InvalidRequest when it is broken, too large or not what its hash says, and QuotaExceeded; nothing is kept
        then.
        """
        with self._database.read() as connection:
            check_room(connection, tenant, 1, chunks=True)
        wanted, xorb = from_text(hash), Xorb("the xorb")

        def checked() -> Iterable[bytes]:
            yield from xorb.receive(pieces)
            if xorb.layout.hash() != wanted:
                raise Damaged("the xorb", "its chunks do not have its hash")

        try:
            blob = self._blobs.put(checked())
        except Damaged as error:
            raise InvalidRequest(str(error)) from error
        now = self._clock()
        values = {"digest": blob.digest, "size": blob.size, "layout": xorb.layout.packed, "used": now}
        mine = (xorbs.c.tenant == tenant) & (xorbs.c.hash == hash)
        try:
            with self._database.write() as connection:
                reprieve(connection, self._blobs, [blob.digest])
                if connection.execute(update(xorbs).where(mine).values(values)).rowcount:
                    return False
                charge(connection, tenant, blob.size, chunks=True)
                connection.execute(insert(xorbs).values(tenant=tenant, hash=hash, created=now, **values))
                note_chunks(connection, tenant, hash, filter(is_landmark, (it.hash for it in xorb.layout.chunks())))
        except IntegrityError:
            return False  # another process had the same one at the same moment
        return True

    def has(self, tenant: str, hash: str) -> bool:
        with self._database.read() as connection:
            return bool(find_xorbs(connection, tenant, [from_text(hash)]))


def find_xorbs(connection: Connection, tenant: str, hashes: Iterable[bytes]) -> dict[bytes, StoredXorb]:
    """Those of them that the tenant has uploaded."""
    wanted, found = [to_text(hash) for hash in hashes], {}
    for start in range(0, len(wanted), BATCH):
        rows = connection.execute(
            select(xorbs.c.hash, xorbs.c.digest, xorbs.c.size, xorbs.c.layout).where(
                xorbs.c.tenant == tenant, xorbs.c.hash.in_(wanted[start : start + BATCH])
            )
        )
        for row in rows:
            found[from_text(row.hash)] = StoredXorb(row.digest, row.size, Layout(row.layout))
    return found
