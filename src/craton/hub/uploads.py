"""Large files that come in parts, each of them kept on the disk until all are there.

An upload is a folder, named by the tenant and by what the file shall be: whoever goes on with it, after a restart too,
finds the parts that came before. A part is there whole or not at all, and on the medium before it is acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from msgspec import Struct

from craton.core.errors import Damaged, InvalidRequest, StorageFull
from craton.hub.files import StoredFile, store_file, stored_files
from craton.hub.keeping.quotas import check_room
from craton.store.blobs import CHUNK, Blobs
from craton.store.blobs.hashing import Beside
from craton.store.database import Database
from craton.store.files import FULL, Files, make_folders

ABANDONED_AFTER = 7 * 86_400.0  # seconds without a new part
_PART = re.compile(r"(\d{1,6})\.([0-9a-f]{64})")


class Upload(Struct, frozen=True):
    """digest: the sha256 that the whole file must have; size: its bytes; part: bytes of every part but the last."""

    digest: str
    size: int
    part: int

    @property
    def parts(self) -> int:
        return -(-self.size // self.part)

    def length(self, number: int) -> int:
        """Of the part with this number; they count from 1. Raises InvalidRequest."""
        if not 1 <= number <= self.parts:
            raise InvalidRequest(f"must be from 1 to {self.parts:,}", "partNumber")
        return min(self.part, self.size - (number - 1) * self.part)


class Uploads:
    """Blocking, safe in threads and processes. clock: seconds since the epoch."""

    def __init__(
        self, database: Database, blobs: Blobs, folder: Path, clock: Callable[[], float], files: Files | None = None
    ) -> None:
        self._database, self._blobs, self._folder, self._clock = database, blobs, folder, clock
        self._files = files or Files()
        self._lock = threading.Lock()
        self._completing: dict[Path, threading.Lock] = {}

    def put(self, tenant: str, upload: Upload, number: int, blocks: Iterable[bytes]) -> str:
        """Stores a part, in place of an earlier one of its number. Returns its sha256, durable by then.

        Raises InvalidRequest when it has not the length that it must have, and what `blocks` raises.
        """
        length = upload.length(number)
        folder = self._place(tenant, upload)
        temporary = folder / f"{token_hex(16)}.tmp"
        with _storing():
            make_folders(self._files, folder)
        try:
            etag = self._write(temporary, blocks, length)
            with _storing():
                self._files.rename(temporary, folder / f"{number}.{etag}")
                self._files.sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                self._files.unlink(temporary)
            raise
        return etag

    def complete(self, tenant: str, upload: Upload, etags: Sequence[str]) -> StoredFile:
        """Makes one file of the parts, in their order, and forgets them. Doing it again is harmless.

        etags: what `put` returned, part by part. Raises InvalidRequest when parts are missing or are others, or do not
        make what was promised; then those that do not are forgotten.
        """
        folder = self._place(tenant, upload)
        with self._alone(folder):
            done = self.stored(tenant, upload.digest)
            if done is not None:
                shutil.rmtree(folder, ignore_errors=True)
                return done
            if len(etags) != upload.parts:
                raise InvalidRequest(f"the upload has {upload.parts:,} parts, not {len(etags):,}", "parts")
            places = [folder / f"{number}.{etag}" for number, etag in enumerate(etags, 1)]
            for number, place in enumerate(places, 1):
                if not _PART.fullmatch(place.name) or not place.is_file():
                    raise InvalidRequest(f"part {number} was not uploaded, or is another by now", "parts")
            try:
                file = store_file(
                    self._database, self._blobs, tenant, _joined(places), upload.size, upload.digest, large=True
                )
            except Damaged as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise InvalidRequest(f"the parts do not make the file that was announced: {error.reason}") from error
            shutil.rmtree(folder, ignore_errors=True)
            return file

    def check_room(self, tenant: str, more: int) -> None:
        """Raises QuotaExceeded when the tenant may not store so many bytes more."""
        with self._database.read() as connection:
            check_room(connection, tenant, more)

    def stored(self, tenant: str, digest: str) -> StoredFile | None:
        """The file, when the tenant has brought it in and it is still there."""
        return self.stored_of(tenant, [digest]).get(digest)

    def stored_of(self, tenant: str, digests: Iterable[str]) -> dict[str, StoredFile]:
        """Those of the files that the tenant has brought in and that are still there."""
        with self._database.read() as connection:
            known = stored_files(connection, tenant, digests)
        return {digest: file for digest, file in known.items() if self._blobs.exists(digest)}

    def waiting(self, tenant: str) -> int:
        """Bytes of the parts that the tenant has uploaded and not completed."""
        return sum(size for folder in _inside(self._home(tenant)) for size in _sizes(folder))

    def sweep(self) -> None:
        """Removes uploads that have been left alone."""
        before = self._clock() - ABANDONED_AFTER
        for home in _inside(self._folder):
            for folder in _inside(home):
                with suppress(OSError):
                    if folder.stat().st_mtime < before:
                        shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                home.rmdir()  # when nothing is left in it

    def _home(self, tenant: str) -> Path:
        return self._folder / hashlib.sha256(tenant.encode()).hexdigest()[:32]

    def _place(self, tenant: str, upload: Upload) -> Path:
        return self._home(tenant) / f"{upload.digest}-{upload.size}-{upload.part}"

    def _write(self, temporary: Path, blocks: Iterable[bytes], length: int) -> str:
        hasher, size = Beside(hashlib.sha256()), 0
        with _storing():
            handle = self._files.create(temporary)
        try:
            for block in blocks:
                hasher.update(block)
                size += len(block)
                if size > length:
                    raise InvalidRequest(f"it is longer than the {length:,} bytes that it must have", "part")
                with _storing():
                    self._files.write(handle, block)
            if size != length:
                raise InvalidRequest(f"it has {size:,} bytes and not {length:,}", "part")
            with _storing():
                self._files.sync(handle)
        finally:
            self._files.close(handle)
        return hasher.hexdigest()

    @contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        """One at a time: a client that asks again while the parts are being joined waits for that."""
        with self._lock:
            mine = self._completing.setdefault(folder, threading.Lock())
        with mine:
            try:
                yield
            finally:
                with self._lock:
                    self._completing.pop(folder, None)


def _joined(places: Iterable[Path]) -> Iterator[bytes]:
    for place in places:
        with place.open("rb", buffering=0) as file:
            while block := file.read(CHUNK):
                yield block


def _inside(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (it for it in folder.iterdir() if it.is_dir())


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):
                yield entry.stat().st_size


@contextmanager
def _storing() -> Iterator[None]:
    """Words the disk's errors."""
    try:
        yield
    except OSError as error:
        raise StorageFull() if error.errno in FULL else StorageFull("The disk cannot be written.") from error
