"""What a store of blobs does, wherever it keeps them. Code that uses blobs needs `Blobs`, what keeps them `BlobStore`.

Once `put` has returned, and not before, a row may name the blob; the row is written in a transaction that asks
`hub.keeping.condemned` whether a collection took the blob meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from craton.core.errors import NotFound

CHUNK = 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blob(Struct, frozen=True):
    """digest: SHA-256, lower-case hex. size: bytes."""

    digest: str
    size: int


class Listed(Struct, frozen=True):
    """modified: when it was put last, in seconds since the epoch, by the store's own clock."""

    digest: str
    size: int
    modified: float


class Blobs(Protocol):
    """All calls block and are safe in threads; any number of processes may share what lies behind them."""

    def put(self, chunks: Iterable[bytes], *, expected: str | None = None) -> Blob:
        """Stores the bytes; putting the same bytes again is harmless and repairs a damaged copy.

        expected: refuse anything that does not have this digest.
        Raises Damaged when it does not; StorageFull when the store is full or fails; whatever `chunks` raises.
        """
        ...

    def put_file(self, path: Path) -> Blob:
        """Stores a copy of the file (never a link: its owner may go on editing it)."""
        ...

    def read(self, digest: str) -> Iterator[bytes]:
        """The bytes. Raises NotFound at once, and Damaged at the end when they are not what was stored."""
        ...

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        """A part of the bytes, as they stand there: for who checks them by hashes of their own. Raises NotFound."""
        ...

    def path(self, digest: str) -> Path:
        """A local file for mmap, not to be written to. Its hash is checked the first time in this process.

        Open it soon: a store that is elsewhere may take its copy back after some minutes.
        Raises NotFound, Damaged.
        """
        ...

    def at_hand(self, digest: str) -> Path | None:
        """What `path` gives, when that costs nothing: a local file whose bytes went by in this process and were right.

        None also when there is no such blob. Open it soon.
        """
        ...

    def exists(self, digest: str, *, fresh: bool = False) -> bool:
        """fresh: ask where it lives; without, a store that is elsewhere may answer as it was a minute ago."""
        ...

    def size(self, digest: str) -> int:
        """Bytes. Raises NotFound."""
        ...


class BlobStore(Blobs, Protocol):
    """What scrubbing, repair and collection need beside."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Every blob whose digest begins so, sorted by digest. prefix: two hex digits, or "" for all."""
        ...

    def stat(self, digest: str) -> Listed:
        """Raises NotFound."""
        ...

    def check(self, digest: str) -> None:
        """Its bytes, as far as they were not checked since they were last put; a store that is elsewhere keeps its
        own checksums and is only asked whether it has the blob. Raises NotFound, Damaged."""
        ...

    def verify(self, digest: str) -> Iterator[int]:
        """Reads all bytes, whatever was checked before, telling how many each time. Raises NotFound, Damaged."""
        ...

    def remove(self, digest: str) -> None:
        """No error when it is gone already."""
        ...

    def put_aside(self, digest: str) -> None:
        """A damaged blob is no longer there, but reading it still says that it is damaged, until it is put again."""
        ...

    def repair(self, digest: str) -> bool:
        """Brings a damaged blob back from where a second copy is kept. Whether there was a whole one."""
        ...

    def catch_up(self) -> Iterator[Listed]:
        """Copies what a second store lacks; tells of each blob when it is there."""
        ...


def checked(digest: str) -> str:
    """The digest; what is none never becomes a path or a key. Raises NotFound."""
    if not _DIGEST.fullmatch(digest):
        raise NotFound("blob", digest[:64])
    return digest
