"""How a file that came in as chunks is kept: as a plain blob, or as its recipe alone.

plain   a second copy, which is read at the disk's speed and mapped into memory as it is
chunks  no second copy: revisions that are alike share what they share, and a read puts the file together
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Literal, Protocol

from sqlalchemy import delete, insert, select

from craton.core.errors import Damaged
from craton.hub.files import StoredFile, note_files, store_file
from craton.hub.git import BlobId
from craton.hub.xet.recipes import Part, contents, gathered, note_recipe
from craton.hub.xet.tables import policies
from craton.store.blobs import Blobs
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
        return store_file(self._database, self._blobs, tenant, contents(self._blobs, parts), size, digest)


class ChunkKeeper:
    """A recipe."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def keep(self, tenant: str, parts: list[Part], size: int, digest: str | None) -> StoredFile:
        found = _hashed(contents(self._blobs, parts), size)
        if digest is not None and found.digest != digest:
            raise Damaged("the file", "its bytes do not have the promised SHA-256")
        with self._database.write() as connection:
            note_recipe(connection, found.digest, size, parts)
            note_files(connection, tenant, [found])
        return found


def _hashed(pieces: Iterator[bytes], size: int) -> StoredFile:
    """Both hashes of so many bytes. They are computed beside each other, and beside what makes the bytes."""
    sha256, git = hashlib.sha256(), BlobId(size)
    with ThreadPoolExecutor(2) as threads:
        waiting: list[Future[None]] = []
        for block in gathered(pieces):
            wait(waiting)
            waiting = [threads.submit(sha256.update, block), threads.submit(git.update, block)]
        wait(waiting)
    if git.seen != size:
        raise Damaged("the file", f"it has {git.seen:,} bytes, not {size:,}")
    return StoredFile(sha256.hexdigest(), size, git.hex())


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
