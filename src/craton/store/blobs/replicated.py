"""Two stores with the same blobs: the second one repairs the first.

A put is over when the first store has it. The second is written to at once as well, but when it cannot be, nobody
waits: whatever it lacks is what `catch_up` finds by comparing the two lists, so there is no queue that could be lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from craton.core.errors import CratonError, Damaged, NotFound
from craton.store.blobs.protocol import CHUNK, Blob, BlobStore, Listed

T = TypeVar("T")

log = logging.getLogger(__name__)


class ReplicatedBlobs:
    """See `protocol.BlobStore`. What is read is checked first, and repaired where it went bad."""

    def __init__(self, first: BlobStore, second: BlobStore) -> None:
        self.first, self.second = first, second

    def put(self, chunks: Iterable[bytes], *, expected: str | None = None) -> Blob:
        blob = self.first.put(chunks, expected=expected)
        try:
            self._copy(blob.digest)
        except (CratonError, OSError) as error:
            log.warning("the replica does not have blob %s yet: %s", blob.digest, error)
        return blob

    def put_file(self, path: Path) -> Blob:
        with path.open("rb", buffering=0) as file:
            return self.put(iter(lambda: file.read(CHUNK), b""))

    def read(self, digest: str) -> Iterator[bytes]:
        self._healing(digest, self.first.check)
        return self.first.read(digest)

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        self._healing(digest, self.first.check)
        yield from self.first.span(digest, start, end)

    def path(self, digest: str) -> Path:
        return self._healing(digest, self.first.path)

    def at_hand(self, digest: str) -> Path | None:
        return self.first.at_hand(digest)

    def exists(self, digest: str, *, fresh: bool = False) -> bool:
        return self.first.exists(digest, fresh=fresh) or self.second.exists(digest, fresh=fresh)

    def size(self, digest: str) -> int:
        return self._healing(digest, self.first.size)

    # --- keeping --------------------------------------------------------------------------------------------

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """What either of them has; where both do, as the first one says."""
        both = merge(self.first.list(prefix), self.second.list(prefix), key=lambda it: it.digest)
        for _, found in groupby(both, key=lambda it: it.digest):
            yield next(found)

    def stat(self, digest: str) -> Listed:
        """The younger of the two: who asks wants to know whether somebody put it lately."""
        found = []
        for store in (self.first, self.second):
            with suppress(NotFound, Damaged):
                found.append(store.stat(digest))
        if not found:
            return self.first.stat(digest)
        return max(found, key=lambda it: it.modified)

    def check(self, digest: str) -> None:
        self._healing(digest, self.first.check)

    def verify(self, digest: str) -> Iterator[int]:
        """Of the first store, as it is."""
        return self.first.verify(digest)

    def remove(self, digest: str) -> None:
        self.first.remove(digest)
        self.second.remove(digest)

    def put_aside(self, digest: str) -> None:
        self.first.put_aside(digest)

    def repair(self, digest: str) -> bool:
        """Brings the blob back from the second store. Whether that has it whole."""
        try:
            self.first.put(self.second.read(digest), expected=digest)
        except (NotFound, Damaged):
            return False
        log.warning("blob %s was brought back from the replica", digest)
        return True

    def catch_up(self) -> Iterator[Listed]:
        """Copies what the second store lacks; tells of each blob when it is there."""
        theirs = iter(self.second.list())
        other = next(theirs, None)
        for mine in self.first.list():
            while other is not None and other.digest < mine.digest:
                other = next(theirs, None)
            if other is None or other.digest != mine.digest or other.size != mine.size:
                with suppress(NotFound, Damaged):  # collected in between; a damaged one is for the scrub
                    self._copy(mine.digest)
                    yield mine

    # --- inside ---------------------------------------------------------------------------------------------

    def _copy(self, digest: str) -> None:
        self.second.put(self.first.read(digest), expected=digest)

    def _healing(self, digest: str, ask: Callable[[str], T]) -> T:
        try:
            return ask(digest)
        except (NotFound, Damaged):
            if not self.repair(digest):
                raise
        return ask(digest)
