"""What a tenant has uploaded already, told to a client of the same tenant that does not remember it.

The answer is a shard that names the chunks of the xorb with the landmark, and of those that make files with it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select, update

from craton.core.errors import NotFound
from craton.formats.xet.hashes import from_text
from craton.formats.xet.shards import write_shard
from craton.hub.xet.chunks import find_chunk
from craton.hub.xet.tables import uses, xorbs
from craton.hub.xet.xorbs import find_xorbs
from craton.store.blobs import Blobs
from craton.store.database import Database

MOST = 32  # xorbs in one answer: some 2 GiB of content in 1.5 MB
DAYS = 7  # that a client may rely on the answer


class Remembering:
    """Blocking, safe in threads. clock: seconds since the epoch."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float]) -> None:
        self._database, self._blobs, self._clock = database, blobs, clock

    def around(self, tenant: str, landmark: str) -> bytes:
        """The shard. The xorbs in it count as used now. Raises NotFound."""
        from_text(landmark)
        now = self._clock()
        with self._database.write() as connection:
            names = _together(connection, tenant, find_chunk(connection, tenant, landmark))
            found = find_xorbs(connection, tenant, map(from_text, names))
            known = {hash: xorb.layout for hash, xorb in found.items() if self._blobs.exists(xorb.digest)}
            if not known:
                raise NotFound("chunk", landmark)
            mine = (xorbs.c.tenant == tenant) & xorbs.c.hash.in_(names)
            connection.execute(update(xorbs).where(mine).values(used=now))
        return write_shard([], known.items(), int(now), int(now) + DAYS * 86400)


def _together(connection: Connection, tenant: str, xorb: str | None) -> list[str]:
    """The xorb, and others of the files that it is used for."""
    if xorb is None:
        return []
    same = select(uses.c.file).where(uses.c.tenant == tenant, uses.c.xorb == xorb)
    others = select(uses.c.xorb).where(uses.c.tenant == tenant, uses.c.file.in_(same), uses.c.xorb != xorb)
    return [xorb, *connection.scalars(others.distinct().limit(MOST - 1))]
