"""Blobs: bytes named by their SHA-256, in a folder: ab/cdef... for the digest abcdef...

A blob is hashed while it streams into a temporary file of the same folder; then fsync, rename, fsync of the folder.
Only after that does `put` return, and only then may a row name the blob: so a row never names a blob that power
loss can take away. An fsync that failed is not tried again (the kernel may have dropped the pages and would report
success): the store stops writing until its process is restarted.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from craton.core.errors import Damaged, NotFound, StorageFull
from craton.store.files import FULL, Files, make_folders

CHUNK = 1024 * 1024
ABANDONED_AFTER = 6 * 3600.0  # seconds without a write; a writer this slow fails cleanly, nothing is torn
READ_ONLY = 0o400
STOPPED = "The disk failed while writing. Check it, then restart Craton."
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blob(Struct, frozen=True):
    """digest: SHA-256, lower-case hex. size: bytes."""

    digest: str
    size: int


class Blobs:
    """The blobs in one folder, shared by any number of threads and processes. All calls block."""

    def __init__(self, folder: Path, files: Files | None = None, clock: Callable[[], float] = time.time) -> None:
        """Makes the folder and removes what writers that were killed left behind. clock: seconds since the epoch."""
        self._folder = folder
        self._temporary = folder / "tmp"
        self._files = files or Files()
        self._ready: set[Path] = set()
        self._verified: dict[str, tuple[int, int, int]] = {}
        self._stopped = False
        with self._storing():
            make_folders(self._files, folder.parent)
        self._prepare(folder)
        self._prepare(self._temporary)
        self._sweep(clock() - ABANDONED_AFTER)

    def put(self, chunks: Iterable[bytes], *, expected: str | None = None) -> Blob:
        """Stores the bytes; putting the same bytes again is harmless and repairs a damaged copy.

        expected: refuse anything that does not have this digest.
        Raises Damaged when it does not; StorageFull when the disk is full or fails; whatever `chunks` raises.
        """
        if self._stopped:
            raise StorageFull(STOPPED)
        temporary = self._temporary / token_hex(16)
        try:
            blob = self._write(temporary, chunks)
            if expected is not None and blob.digest != expected:
                raise Damaged("The upload", "its bytes do not have the promised SHA-256.")
            target = self._place(blob.digest)
            self._prepare(target.parent)
            with self._storing():
                self._files.rename(temporary, target)
            with self._storing(sync=True):
                self._files.sync_folder(target.parent)
        except BaseException:
            with suppress(OSError):
                self._files.unlink(temporary)
            raise
        return blob

    def put_file(self, path: Path) -> Blob:
        """Stores a copy of the file (never a link: its owner may go on editing it)."""
        with path.open("rb", buffering=0) as file:
            return self.put(iter(lambda: file.read(CHUNK), b""))

    def read(self, digest: str) -> Iterator[bytes]:
        """The bytes. Raises NotFound at once, and Damaged at the end when they are not what was stored."""
        self.size(digest)
        return self._read(digest)

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        """A part of the bytes, as they stand there: for who checks them by hashes of their own. Raises NotFound."""
        try:
            file = self._place(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFound("blob", digest) from None
        with file:
            file.seek(start)
            while start < end and (chunk := file.read(min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk
        if start < end:
            raise Damaged(f"Blob {digest}", "it is shorter than what was stored.")

    def path(self, digest: str) -> Path:
        """A local file for mmap, not to be written to. Its hash is checked the first time in this process.

        Raises NotFound, Damaged.
        """
        place = self._place(digest)
        seen = self._stat(digest)
        mark = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        if self._verified.get(digest) != mark:
            for _ in self._read(digest):
                pass
            self._verified[digest] = mark
        return place

    def exists(self, digest: str) -> bool:
        try:
            self._stat(digest)
        except NotFound:
            return False
        return True

    def size(self, digest: str) -> int:
        """Bytes. Raises NotFound."""
        return self._stat(digest).st_size

    def _write(self, temporary: Path, chunks: Iterable[bytes]) -> Blob:
        hasher, size = hashlib.sha256(), 0
        with self._storing():
            handle = self._files.create(temporary, READ_ONLY)
        try:
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                with self._storing():
                    self._files.write(handle, chunk)
            with self._storing(sync=True):
                self._files.sync(handle)
        finally:
            with self._storing():
                self._files.close(handle)
        return Blob(hasher.hexdigest(), size)

    @contextmanager
    def _storing(self, *, sync: bool = False) -> Iterator[None]:
        """Words the disk's errors; one from an fsync (other than "full") stops the store."""
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull() from error
            self._stopped = self._stopped or sync
            raise StorageFull(STOPPED if sync else "The disk cannot be written.") from error

    def _prepare(self, folder: Path) -> None:
        """The folder, its name on the medium. Also synced when it is there: its maker may not have come to that yet."""
        if folder not in self._ready:
            with self._storing():
                self._files.make_folder(folder)
            with self._storing(sync=True):
                self._files.sync_folder(folder.parent)
            self._ready.add(folder)

    def _sweep(self, before: float) -> None:
        for leftover in self._temporary.iterdir():
            with suppress(FileNotFoundError):  # another process sweeps too
                if leftover.stat().st_mtime < before:
                    self._files.unlink(leftover)

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):  # what is not a digest never becomes a path
            raise NotFound("blob", digest[:64])
        return self._folder / digest[:2] / digest[2:]

    def _stat(self, digest: str) -> os.stat_result:
        try:
            return self._place(digest).stat()
        except FileNotFoundError:
            raise NotFound("blob", digest) from None

    def _read(self, digest: str) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        try:
            with self._place(digest).open("rb", buffering=0) as file:
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
                    yield chunk
        except FileNotFoundError:
            raise NotFound("blob", digest) from None
        if hasher.hexdigest() != digest:
            raise Damaged(f"Blob {digest}", "its bytes do not have its SHA-256.")
