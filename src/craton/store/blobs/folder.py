"""Blobs in a folder: ab/cdef... for the digest abcdef...

A blob is hashed while it streams into a temporary file of the same folder; then fsync, rename, fsync of the folder.
Only after that does `put` return, and only then may a row name the blob: so a row never names a blob that power
loss can take away. An fsync that failed is not tried again (the kernel may have dropped the pages and would report
success): the store stops writing until its process is restarted.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from craton.core.errors import Damaged, NotFound, StorageFull
from craton.store.blobs.hashing import Beside
from craton.store.blobs.protocol import CHUNK, Blob, Listed, checked
from craton.store.files import FULL, Files, make_folders

ABANDONED_AFTER = 6 * 3600.0  # seconds without a write; a writer this slow fails cleanly, nothing is torn
READ_ONLY = 0o400
BEGIN_SYNC = 16 * 1024 * 1024  # bytes, after which the disk begins: else it rests until all of a file is there
STOPPED = "The disk failed while writing. Check it, then restart Craton."
ASIDE = "aside"  # the folder of what was found damaged


class FolderBlobs:
    """The blobs in one folder, shared by any number of threads and processes. See `protocol.BlobStore`."""

    def __init__(self, folder: Path, files: Files | None = None, clock: Callable[[], float] = time.time) -> None:
        """Makes the folder and removes what writers that were killed left behind. clock: seconds since the epoch."""
        self._folder = folder
        self._temporary, self._aside = folder / "tmp", folder / ASIDE
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
        if self._stopped:
            raise StorageFull(STOPPED)
        temporary = self._temporary / token_hex(16)
        try:
            blob = self._write(temporary, chunks)
            if expected is not None and blob.digest != expected:
                raise Damaged("The upload", "its bytes do not have the promised SHA-256.")
            seen = temporary.stat()
            self._place_there(temporary, self._place(blob.digest))
            self._verified[blob.digest] = _mark(seen)
        except BaseException:
            with suppress(OSError):
                self._files.unlink(temporary)
            raise
        if (self._aside / blob.digest).exists():
            with suppress(OSError):
                self._files.unlink(self._aside / blob.digest)
        return blob

    def put_file(self, path: Path) -> Blob:
        with path.open("rb", buffering=0) as file:
            return self.put(iter(lambda: file.read(CHUNK), b""))

    def read(self, digest: str) -> Iterator[bytes]:
        self.size(digest)
        return self._read(digest)

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        try:
            file = self._place(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise self._missing(digest) from None
        with file:
            file.seek(start)
            while start < end and (chunk := file.read(min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk
        if start < end:
            raise Damaged(f"Blob {digest}", "it is shorter than what was stored.")

    def path(self, digest: str) -> Path:
        self._stat(digest)
        if self.at_hand(digest) is None:
            for _ in self._read(digest):
                pass
        return self._place(digest)

    def at_hand(self, digest: str) -> Path | None:
        place = self._place(digest)
        try:
            seen = place.stat()
        except FileNotFoundError:
            return None
        return place if self._verified.get(digest) == _mark(seen) else None

    def exists(self, digest: str, *, fresh: bool = False) -> bool:
        try:
            self._stat(digest)
        except (NotFound, Damaged):
            return False
        return True

    def size(self, digest: str) -> int:
        return self._stat(digest).st_size

    # --- keeping --------------------------------------------------------------------------------------------

    def list(self, prefix: str = "") -> Iterator[Listed]:
        folders = [self._folder / prefix] if prefix else sorted(self._folder.glob("[0-9a-f][0-9a-f]"))
        for folder in folders:
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                with suppress(NotFound, Damaged):  # gone in between, or none of ours
                    yield self.stat(folder.name + name)

    def stat(self, digest: str) -> Listed:
        seen = self._stat(digest)
        return Listed(digest, seen.st_size, seen.st_mtime)

    def check(self, digest: str) -> None:
        self.path(digest)

    def verify(self, digest: str) -> Iterator[int]:
        self._verified.pop(digest, None)
        return (len(chunk) for chunk in self.read(digest))

    def remove(self, digest: str) -> None:
        """Not synced: a blob that comes back after a power cut is collected again."""
        self._verified.pop(digest, None)
        with self._storing():
            self._files.unlink(self._place(digest))
            self._files.unlink(self._aside / digest)

    def put_aside(self, digest: str) -> None:
        self._verified.pop(digest, None)
        if self._place(digest).exists():
            self._prepare(self._aside)
            self._place_there(self._place(digest), self._aside / digest)

    def repair(self, digest: str) -> bool:
        return False

    def catch_up(self) -> Iterator[Listed]:
        return iter(())

    # --- inside ---------------------------------------------------------------------------------------------

    def _write(self, temporary: Path, chunks: Iterable[bytes]) -> Blob:
        hasher, size, begun = Beside(hashlib.sha256()), 0, 0
        with self._storing():
            handle = self._files.create(temporary, READ_ONLY)
        try:
            for chunk in chunks:
                hasher.update(chunk)
                size += len(chunk)
                with self._storing():
                    self._files.write(handle, chunk)
                    if size - begun >= BEGIN_SYNC:
                        self._files.begin_sync(handle, begun, size - begun)
                        begun = size
            digest = hasher.hexdigest()
            with self._storing(sync=True):
                self._files.sync(handle)
        finally:
            with self._storing():
                self._files.close(handle)
        return Blob(digest, size)

    def _place_there(self, source: Path, target: Path) -> None:
        self._prepare(target.parent)
        with self._storing():
            self._files.rename(source, target)
        with self._storing(sync=True):
            self._files.sync_folder(target.parent)

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
        checked(digest)
        return self._folder / digest[:2] / digest[2:]

    def _stat(self, digest: str) -> os.stat_result:
        try:
            return self._place(digest).stat()
        except FileNotFoundError:
            raise self._missing(digest) from None

    def _missing(self, digest: str) -> NotFound | Damaged:
        if (self._aside / digest).exists():
            return Damaged(f"Blob {digest}", "its bytes went bad on the disk; upload it again.")
        return NotFound("blob", digest)

    def _read(self, digest: str) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        try:
            with self._place(digest).open("rb", buffering=0) as file:
                mark = _mark(os.fstat(file.fileno()))
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
                    yield chunk
        except FileNotFoundError:
            raise self._missing(digest) from None
        if hasher.hexdigest() != digest:
            raise Damaged(f"Blob {digest}", "its bytes do not have its SHA-256.")
        self._verified[digest] = mark


def _mark(seen: os.stat_result) -> tuple[int, int, int]:
    """By which a file that was checked is known again."""
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
