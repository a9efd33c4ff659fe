"""Hashing beside what else is done with the bytes: on a second core, where there is one.

hashlib lets go of the interpreter while it hashes, so that a thread that writes to the disk or unpacks goes on.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

WORTH = 256 * 1024  # bytes: below, handing them to a thread takes longer than hashing them
THREADS = 4  # of the process; they only ever compute

_threads = ThreadPoolExecutor(THREADS, "craton-hash")


class Hash(Protocol):
    """As hashlib's."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class Beside:
    """A hash that is computed while its caller goes on; it waits when the piece before is not done yet.

    Pieces must stay as they are: bytes, or memory that nobody writes to any more.
    """

    def __init__(self, hash: Hash) -> None:
        self._hash = hash
        self._working: Future[None] | None = None

    def update(self, data: bytes) -> None:
        self._wait()
        if len(data) < WORTH:
            self._hash.update(data)
        else:
            self._working = _threads.submit(self._hash.update, data)

    def hexdigest(self) -> str:
        self._wait()
        return self._hash.hexdigest()

    def _wait(self) -> None:
        if self._working is not None:
            self._working.result()
            self._working = None
