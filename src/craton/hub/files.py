"""The files that a tenant has brought in, before and after a commit names them.

Blobs are shared by all tenants; which tenant may use which is a row: knowing a digest must not grant its content.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from craton.core.errors import Damaged, InvalidRequest
from craton.hub.git import BlobId
from craton.hub.keeping.condemned import reprieve
from craton.hub.keeping.quotas import charge, check_room
from craton.hub.tables import stored
from craton.store.blobs import Blobs
from craton.store.database import Database

WRITERS = 8  # files that wait for the disk at once
BATCH = 256  # files in one transaction
BATCH_BYTES = 32 * 1024 * 1024


class StoredFile(Struct, frozen=True):
    """digest: sha256 hex; size: bytes; git_oid: git's blob id, hex; "" where it came as a large file, of which git's
    trees name a pointer: SHA-1 over the bytes would take as long as SHA-256."""

    digest: str
    size: int
    git_oid: str


def store_file(
    database: Database,
    blobs: Blobs,
    tenant: str,
    chunks: Iterable[bytes],
    size: int,
    expected: str | None = None,
    *,
    large: bool = False,
) -> StoredFile:
    """Stores a stream of exactly `size` bytes and notes that the tenant has it.

    expected: the sha256 that it must have. large: git's id of the bytes is not wanted.
    Raises Damaged when the size or the hash is another; QuotaExceeded, before the stream is touched, when the tenant
    has no room for it.
    """
    _check_room(database, tenant, size, expected)
    git = None if large else BlobId(size)
    blob = blobs.put(exactly(chunks if git is None else git.watch(chunks), size), expected=expected)
    file = StoredFile(blob.digest, blob.size, "" if git is None else git.hex())
    _note_put(database, blobs, tenant, [file])
    return file


def store_small(database: Database, blobs: Blobs, tenant: str, contents: Iterable[bytes]) -> Iterator[StoredFile]:
    """Stores files that fit into memory and notes that the tenant has them: many wait for the disk at once, and a batch
    of them is one transaction. A file is stored once it is given out."""

    def put(content: bytes) -> StoredFile:
        git = BlobId(len(content))
        blob = blobs.put(git.watch([content]))
        return StoredFile(blob.digest, blob.size, git.hex())

    waiting = iter(contents)
    with ThreadPoolExecutor(WRITERS, "craton-store") as writers:
        while batch := _batch(waiting):
            _check_room(database, tenant, 1, None)
            files = list(writers.map(put, batch))
            _note_put(database, blobs, tenant, files)
            yield from files


def _note_put(database: Database, blobs: Blobs, tenant: str, files: list[StoredFile]) -> None:
    """Notes files whose bytes were put just now."""
    with database.write() as connection:
        reprieve(connection, blobs, (file.digest for file in files))
        note_files(connection, tenant, files)


def _check_room(database: Database, tenant: str, size: int, digest: str | None) -> None:
    """Whether the tenant may store so many bytes more; what it has already takes none."""
    with database.read() as connection:
        if digest is None or digest not in stored_files(connection, tenant, [digest]):
            check_room(connection, tenant, size)


def _batch(contents: Iterator[bytes]) -> list[bytes]:
    """The next of them: at most so many, and so many bytes."""
    batch, size = [], 0
    for content in islice(contents, BATCH):
        batch.append(content)
        size += len(content)
        if size > BATCH_BYTES:
            break
    return batch


def note_files(
    connection: Connection, tenant: str, files: Iterable[StoredFile], clock: Callable[[], float] = time.time
) -> None:
    """Notes that the tenant has these files, and uses them now. Raises QuotaExceeded.

    clock: seconds since the epoch. Whoever put their bytes calls `condemned.reprieve` in the same transaction.
    """
    wanted = {file.digest: file for file in files}
    known = stored_files(connection, tenant, wanted)
    now = clock()
    new: list[dict[str, Any]] = [
        {"tenant": tenant, "digest": file.digest, "size": file.size, "git_oid": file.git_oid, "used": now}
        for digest, file in wanted.items()
        if digest not in known
    ]
    if new:
        charge(connection, tenant, sum(row["size"] for row in new), len(new))
        connection.execute(insert(stored), new)
    touch_files(connection, tenant, known, now)


def touch_files(connection: Connection, tenant: str, digests: Iterable[str], now: float) -> int:
    """They are used now: no collection that has begun may take them. How many of them the tenant has."""
    wanted, count = list(digests), 0
    for start in range(0, len(wanted), 500):
        mine = (stored.c.tenant == tenant) & stored.c.digest.in_(wanted[start : start + 500])
        count += connection.execute(update(stored).where(mine).values(used=now)).rowcount
    return count


def claim_files(
    connection: Connection, tenant: str, digests: Iterable[str], clock: Callable[[], float] = time.time
) -> None:
    """In the transaction of the commit that names them. Raises InvalidRequest when one was collected since it was
    looked for: it had been uploaded long ago, and never committed."""
    wanted = set(digests)
    if touch_files(connection, tenant, wanted, clock()) < len(wanted):
        raise InvalidRequest("a file of the commit was uploaded too long ago; upload it again", "files")


def exactly(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same chunks. Raises Damaged when they have not `size` bytes."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if seen > size:
            raise Damaged("file", f"it is longer than the {size:,} bytes announced")
        yield chunk
    if seen != size:
        raise Damaged("file", f"it ended after {seen:,} of {size:,} bytes")


def git_id(blobs: Blobs, file: StoredFile) -> str:
    """Of the file's bytes; they are read where nobody has asked for it so far."""
    if file.git_oid:
        return file.git_oid
    git = BlobId(file.size)
    for chunk in blobs.read(file.digest):
        git.update(chunk)
    return git.hex()


def stored_files(connection: Connection, tenant: str, digests: Iterable[str]) -> dict[str, StoredFile]:
    """Those of the digests that the tenant has stored."""
    wanted, found = list(digests), {}
    for start in range(0, len(wanted), 500):
        rows = connection.execute(
            select(stored.c.digest, stored.c.size, stored.c.git_oid).where(
                stored.c.tenant == tenant, stored.c.digest.in_(wanted[start : start + 500])
            )
        )
        found.update({row.digest: StoredFile(*row) for row in rows})
    return found
