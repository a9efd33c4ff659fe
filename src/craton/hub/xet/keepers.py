"""How a file that came in as chunks is kept: as a plain blob, or as its recipe alone.

plain   a second copy, which is read at the disk's speed and mapped into memory as it is
chunks  no second copy: revisions that are alike share what they share, and a read puts the file together
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, Protocol

from sqlalchemy import delete, insert, select

from craton.core.errors import Damaged
from craton.hub.files import StoredFile, exactly, note_files, store_file
from craton.hub.xet.recipes import Part, ahead, contents, note_recipe
from craton.hub.xet.tables import policies
from craton.store.blobs import Blobs
from craton.store.blobs.hashing import Beside
from craton.store.database import Database

Keep = Literal["plain", "chunks"]


class Keeper(Protocol):
    def keep(self, tenant: str, parts: list[Part], size: int, digest: str | None) -> StoredFile:
        """Stores what the parts make, so that a commit of the tenant's may name it.

        digest: the sha256 that it must have. Raises Damaged.
        """
        ...


class PlainKeeper:
    """A blob of its own."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def keep(self, tenant: str, parts: list[Part], size: int, digest: str | None) -> StoredFile:
        blocks = ahead(contents(self._blobs, parts))
        return store_file(self._database, self._blobs, tenant, blocks, size, digest, large=True)


class ChunkKeeper:
    """A recipe."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def keep(self, tenant: str, parts: list[Part], size: int, digest: str | None) -> StoredFile:
        found = _hashed(ahead(contents(self._blobs, parts)), size)
        if digest is not None and found.digest != digest:
            raise Damaged("the file", "its bytes do not have the promised SHA-256")
        with self._database.write() as connection:
            note_recipe(connection, found.digest, size, parts)
            note_files(connection, tenant, [found])
        return found


def _hashed(blocks: Iterator[bytes], size: int) -> StoredFile:
    sha256 = Beside(hashlib.sha256())
    for block in exactly(blocks, size):
        sha256.update(block)
    return StoredFile(sha256.hexdigest(), size, "")


class Policies:
    """What each repository wants. Blocking, safe in threads."""

    def __init__(self, database: Database, blobs: Blobs, default: Keep) -> None:
        self._database, self._default = database, default
        self._keepers: dict[Keep, Keeper] = {
            "plain": PlainKeeper(database, blobs),
            "chunks": ChunkKeeper(database, blobs),
        }

    def get(self, tenant: str, repository: str) -> Keep:
        """repository: its row's id."""
        table = policies.c
        with self._database.read() as connection:
            mine = (table.tenant == tenant) & (table.repository == repository)
            found = connection.scalar(select(table.keep).where(mine))
        return "plain" if found == "plain" else "chunks" if found == "chunks" else self._default

    def set(self, tenant: str, repository: str, keep: Keep) -> None:
        """For what comes in from now on."""
        table = policies.c
        with self._database.write() as connection:
            connection.execute(delete(policies).where(table.tenant == tenant, table.repository == repository))
            connection.execute(insert(policies).values(tenant=tenant, repository=repository, keep=keep))

    def keeper(self, tenant: str, repository: str) -> Keeper:
        return self._keepers[self.get(tenant, repository)]
