"""Copies on this machine of blobs that live elsewhere: bounded, shared by all processes of a home, safe to delete.

The least recently used go first. What was handed out a moment ago stays, for who asked has yet to open it: when only
such files are left, the next one is refused rather than one of theirs taken.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from craton.core.errors import Damaged, StorageFull
from craton.store.blobs.hashing import Beside
from craton.store.blobs.protocol import CHUNK, Blob
from craton.store.files import FULL, PRIVATE_FOLDER

SPARED = 600.0  # seconds since a copy was handed out
ABANDONED_AFTER = 6 * 3600.0
_LOCK = "lock"


class Cache:
    """limit: bytes, of copies and of what is on its way in or out."""

    def __init__(self, folder: Path, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._limit, self._clock = folder, limit, clock
        self._verified: dict[str, tuple[int, int, int]] = {}
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        for leftover in folder.glob("*.part"):
            with suppress(FileNotFoundError):
                if leftover.stat().st_mtime < clock() - ABANDONED_AFTER:
                    leftover.unlink()

    def find(self, digest: str) -> Path | None:
        """A copy whose hash was found right in this process. A damaged one is thrown away."""
        place = self._folder / digest
        try:
            seen = place.stat()
            mark = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
            if self._verified.get(digest) != mark and _hash(place) != digest:
                place.unlink()
                return None
            os.utime(place, ns=(round(self._clock() * 1e9), seen.st_mtime_ns))
        except FileNotFoundError:
            return None
        self._verified[digest] = mark
        return place

    def known(self, digest: str) -> Path | None:
        """The same, of those only that need not be hashed for it."""
        try:
            seen = (self._folder / digest).stat()
        except FileNotFoundError:
            return None
        known = self._verified.get(digest) == (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        return self.find(digest) if known else None

    @contextmanager
    def filling(self, chunks: Iterable[bytes]) -> Iterator[tuple[Path, Blob]]:
        """A temporary file with these bytes, gone at the end of the block unless `keep` made a copy of it."""
        temporary = self._folder / f"{token_hex(16)}.part"
        hasher, size = Beside(hashlib.sha256()), 0
        try:
            with _storing(), temporary.open("xb", buffering=0) as file:
                os.chmod(temporary, 0o600)
                room = 0
                for chunk in chunks:
                    if size + len(chunk) > room:
                        room = size + max(len(chunk), 64 * CHUNK)
                        self._make_room(room - size)
                    hasher.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
            yield temporary, Blob(hasher.hexdigest(), size)
        finally:
            temporary.unlink(missing_ok=True)

    def keep(self, temporary: Path, digest: str) -> Path:
        """The temporary file, whose hash the caller knows, becomes the copy."""
        place = self._folder / digest
        temporary.chmod(0o400)
        temporary.replace(place)
        seen = place.stat()
        os.utime(place, ns=(round(self._clock() * 1e9), seen.st_mtime_ns))
        self._verified[digest] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        return place

    def drop(self, digest: str) -> None:
        self._verified.pop(digest, None)
        (self._folder / digest).unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Raises StorageFull when that takes what was just handed out."""
        with (self._folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = [*self._files()]
            total = sum(seen.st_size for _, seen in found) + size
            for path, seen in sorted(found, key=lambda it: it[1].st_atime):
                if total <= self._limit:
                    return
                if path.suffix != ".part" and seen.st_atime < self._clock() - SPARED:
                    path.unlink(missing_ok=True)
                    total -= seen.st_size
            if total > self._limit:
                raise StorageFull("The local cache of blobs is too small for what is in use: see [blobs] cache.")

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Without those that another writer renamed or removed while the folder was read."""
        for entry in os.scandir(self._folder):
            with suppress(FileNotFoundError):
                if entry.name != _LOCK and entry.is_file():
                    yield Path(entry.path), entry.stat()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except (StorageFull, Damaged):
        raise
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull() from error
        raise
