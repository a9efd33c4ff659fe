"""Copies of tables as Parquet, and what was counted in them: derived, so the oldest go when there are too many.

A key stands for a tenant, the bytes a copy was made from and how they were read: nobody finds another tenant's copy.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from craton.core.errors import StorageFull
from craton.store.files import FULL, Files, make_folders

_VERSION = "1"  # of what is written: another one makes every copy anew
_TEMPORARY = "tmp-"


def key_of(*parts: str) -> str:
    """A name for what was made from these."""
    return hashlib.sha256("\0".join((_VERSION, *parts)).encode()).hexdigest()


class Shelf:
    """A folder with at most so many bytes. Blocking, safe in threads."""

    def __init__(self, folder: Path, most_bytes: int, files: Files | None = None) -> None:
        self._folder, self._most = folder, most_bytes
        self._files = files or Files()

    def find(self, key: str, kind: str) -> Path | None:
        """The file, used from now; None when it is not there. kind: the ending of its name."""
        path = self._place(key, kind)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def read_bytes(self, key: str, kind: str) -> bytes | None:
        """What `put_bytes` wrote; None when it is not there (any more)."""
        path = self.find(key, kind)
        try:
            return None if path is None else path.read_bytes()
        except FileNotFoundError:
            return None

    def temporary(self) -> Path:
        """Where a new one may be written."""
        make_folders(self._files, self._folder)
        return self._folder / f"{_TEMPORARY}{token_hex(16)}"

    def put(self, temporary: Path, key: str, kind: str) -> Path:
        """The file that was written, complete and on the medium under its name."""
        path = self._place(key, kind)
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        self._files.rename(temporary, path)
        self._files.sync_folder(self._folder)
        self._make_room(path)
        return path

    def put_bytes(self, content: bytes, key: str, kind: str) -> Path:
        """Raises StorageFull."""
        temporary = self.temporary()
        try:
            temporary.write_bytes(content)
            return self.put(temporary, key, kind)
        except OSError as error:
            if error.errno in FULL:
                raise StorageFull() from error
            raise
        finally:
            self._files.unlink(temporary)

    def sweep(self) -> None:
        """Removes what processes that were killed left behind. Only while no other server works in the folder."""
        for leftover in self._folder.glob(f"{_TEMPORARY}*"):
            self._files.unlink(leftover)

    def _place(self, key: str, kind: str) -> Path:
        return self._folder / f"{key}.{kind}"

    def _make_room(self, kept: Path) -> None:
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                seen = path.stat()
                files.append((seen.st_mtime, seen.st_size, path))
        size = sum(bytes_ for _, bytes_, _ in files)
        for _, bytes_, path in sorted(files):
            if size <= self._most:
                return
            if path != kept and not path.name.startswith(_TEMPORARY):
                self._files.unlink(path)
                size -= bytes_
