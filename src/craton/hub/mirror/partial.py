"""A file that is on its way in, on the disk: what has come outlives a break, and the process."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from craton.core.errors import Damaged
from craton.hub.git import BlobId
from craton.hub.mirror.words import RemoteFile

BLOCK = 1024 * 1024


class Partial:
    """One of them, hashed as it grows. Blocking; for one thread at a time, but `reading`."""

    def __init__(self, path: Path, file: RemoteFile) -> None:
        self.path, self._file = path, file
        self._handle = -1
        self._reset()

    def _reset(self) -> None:
        self._sha256, self._git = hashlib.sha256(), BlobId(self._file.size)

    @property
    def is_open(self) -> bool:
        return self._handle >= 0

    def open(self) -> int:
        """How much is here already. Where another process fetches the same file, this one does so beside it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            self.path = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        have, size = 0, os.fstat(handle).st_size
        if size > self._file.size:
            os.ftruncate(handle, 0)
        while have < size <= self._file.size and (chunk := os.pread(handle, BLOCK, have)):
            self._hash(chunk)
            have += len(chunk)
        os.lseek(handle, have, os.SEEK_SET)
        self._handle = handle
        return have

    def write(self, block: bytes) -> None:
        self._hash(block)
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def restart(self) -> None:
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._reset()

    def verify(self) -> None:
        """Raises Damaged, and forgets the bytes: going on from them would never end well."""
        file = self._file
        right = self._git.hex() == file.git_oid if file.sha256 is None else self._sha256.hexdigest() == file.sha256
        if not right:
            self.remove()
            raise Damaged(file.path, "upstream's bytes do not have the hash that it names")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    @contextmanager
    def reading(self) -> Iterator[int]:
        """A handle that stays good when the file is removed."""
        handle = os.dup(self._handle)
        try:
            yield handle
        finally:
            os.close(handle)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _hash(self, chunk: bytes) -> None:
        if self._file.sha256 is None:
            self._git.update(chunk)
        else:
            self._sha256.update(chunk)
