"""How a stored file leaves: from its place on the disk where it was checked already, else checked while it goes by.

What turns out to be damaged is never given whole: its last piece is held back until all of it was checked, and whoever
asks for the rest of it later is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from craton.core.errors import Damaged
from craton.store.blobs.protocol import Blobs

SMALL = 4 * 1024 * 1024  # bytes that are checked before the first of them leaves


class Sending:
    """Blocking, safe in threads."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._damaged: set[str] = set()

    def open(self, digest: str, size: int, start: int, end: int) -> Path | Iterator[bytes]:
        """A checked file that holds the blob; or the bytes from start to end, of which those of a part are as they
        stand there. Raises NotFound, Damaged."""
        if digest in self._damaged:
            place = self._blobs.path(digest)  # raises, unless it was repaired since
            with self._lock:
                self._damaged.discard(digest)
            return place
        at_hand = self._blobs.at_hand(digest)
        if at_hand is not None:
            return at_hand
        if size <= SMALL:
            return iter((b"".join(self._blobs.read(digest))[start:end],))
        return self._whole(digest) if end - start == size else self._blobs.span(digest, start, end)

    def _whole(self, digest: str) -> Iterator[bytes]:
        return self._held_back(digest, self._blobs.read(digest))

    def _held_back(self, digest: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        held = b""
        try:
            for block in blocks:
                if held:
                    yield held
                held = block
        except Damaged:
            with self._lock:
                self._damaged.add(digest)
            raise
        yield held
