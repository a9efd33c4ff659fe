"""The files that a tenant has brought in, before and after a commit names them.

Blobs are shared by all tenants; which tenant may use which is a row: knowing a digest must not grant its content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from craton.core.errors import Damaged
from craton.hub.git import BlobId
from craton.hub.tables import stored
from craton.store.blobs import Blobs
from craton.store.database import Database

WRITERS = 8  # files that wait for the disk at once
BATCH = 256  # files in one transaction
BATCH_BYTES = 32 * 1024 * 1024


class StoredFile(Struct, frozen=True):
    """digest: sha256 hex; size: bytes; git_oid: git's blob id, hex."""

    digest: str
    size: int
    git_oid: str


def store_file(
    database: Database, blobs: Blobs, tenant: str, chunks: Iterable[bytes], size: int, expected: str | None = None
) -> StoredFile:
    """Stores a stream of exactly `size` bytes and notes that the tenant has it.

    expected: the sha256 that it must have. Raises Damaged when the size or the hash is another.
    """
    git = BlobId(size)
    blob = blobs.put(_exactly(git, chunks, size), expected=expected)
    file = StoredFile(blob.digest, blob.size, git.hex())
    try:
        with database.write() as connection:
            note_files(connection, tenant, [file])
    except IntegrityError:
        pass  # another process noted the same file in between
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
            files = list(writers.map(put, batch))
            try:
                with database.write() as connection:
                    note_files(connection, tenant, files)
            except IntegrityError:  # another process noted one of them in between
                with database.write() as connection:
                    note_files(connection, tenant, files)
            yield from files


def _batch(contents: Iterator[bytes]) -> list[bytes]:
    """The next of them: at most so many, and so many bytes."""
    batch, size = [], 0
    for content in islice(contents, BATCH):
        batch.append(content)
        size += len(content)
        if size > BATCH_BYTES:
            break
    return batch


def note_files(connection: Connection, tenant: str, files: Iterable[StoredFile]) -> None:
    """Notes that the tenant has these files."""
    wanted = {file.digest: file for file in files}
    known = stored_files(connection, tenant, wanted)
    new = [
        {"tenant": tenant, "digest": file.digest, "size": file.size, "git_oid": file.git_oid}
        for digest, file in wanted.items()
        if digest not in known
    ]
    if new:
        connection.execute(insert(stored), new)


def _exactly(git: BlobId, chunks: Iterable[bytes], size: int) -> Iterable[bytes]:
    for chunk in git.watch(chunks):
        if git.seen > size:
            raise Damaged("file", f"it is longer than the {size:,} bytes announced")
        yield chunk
    if git.seen != size:
        raise Damaged("file", f"it ended after {git.seen:,} of {size:,} bytes")


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
