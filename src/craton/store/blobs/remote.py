"""Blobs in a bucket of an S3-compatible store, under the same names as in a folder: ab/cdef...

A put hashes the stream into a local temporary file, then sends that to its final key (in parts when it is large; the
store makes an object visible when it is whole, and checks each part's SHA-256). `put` returns when the store has said
that it has it. An object that is there already is written again, not skipped: so a damaged one is repaired, and an old
one counts as new for who collects what nobody needs. Two writers of one key write the same bytes.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import CratonError, Damaged, NotFound, StorageFull
from craton.store.blobs.cache import Cache
from craton.store.blobs.protocol import CHUNK, Blob, Listed, checked

if TYPE_CHECKING:
    from obstore.store import S3Store

PART = 16 * CHUNK
AT_ONCE = 4  # parts that are sent beside each other
KNOWN = 100_000  # blobs whose size is remembered
KNOWN_FOR = 60.0  # seconds
ASIDE = "aside"


class RemoteBlobs:
    """See `protocol.BlobStore`."""

    def __init__(
        self, connect: Callable[[], S3Store], prefix: str, cache: Cache, clock: Callable[[], float] = time.time
    ) -> None:
        """connect: called at the first use. prefix: of all keys, without a slash at its end."""
        self._connect, self._prefix, self._cache, self._clock = connect, prefix, cache, clock
        self._known: OrderedDict[str, tuple[float, Listed]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, chunks: Iterable[bytes], *, expected: str | None = None) -> Blob:
        with self._cache.filling(chunks) as (temporary, blob):
            if expected is not None and blob.digest != expected:
                raise Damaged("The upload", "its bytes do not have the promised SHA-256.")
            self._send(temporary, blob)
            self._cache.keep(temporary, blob.digest)
        return blob

    def put_file(self, path: Path) -> Blob:
        with path.open("rb", buffering=0) as file:
            return self.put(iter(lambda: file.read(CHUNK), b""))

    def read(self, digest: str) -> Iterator[bytes]:
        copy = self._cache.find(checked(digest))
        return _file(copy, 0, None) if copy is not None else self._verified(digest, self._stream(digest))

    def span(self, digest: str, start: int, end: int) -> Iterator[bytes]:
        copy = self._cache.find(checked(digest))
        if copy is not None:
            yield from _file(copy, start, end)
            return
        if start < end:
            seen = 0
            for chunk in self._stream(digest, (start, end)):
                seen += len(chunk)
                yield chunk
            if seen < end - start:
                raise Damaged(f"Blob {digest}", "it is shorter than what was stored.")

    def path(self, digest: str) -> Path:
        copy = self._cache.find(checked(digest))
        if copy is not None:
            return copy
        with self._cache.filling(self._verified(digest, self._stream(digest))) as (temporary, blob):
            return self._cache.keep(temporary, blob.digest)

    def at_hand(self, digest: str) -> Path | None:
        return self._cache.known(checked(digest))

    def exists(self, digest: str, *, fresh: bool = False) -> bool:
        try:
            if fresh:
                self.stat(digest)
            else:
                self._stat(digest)
        except (NotFound, Damaged):
            return False
        return True

    def size(self, digest: str) -> int:
        return self._stat(digest).size

    # --- keeping --------------------------------------------------------------------------------------------

    def list(self, prefix: str = "") -> Iterator[Listed]:
        import obstore

        for number in range(256):
            folder = f"{number:02x}"
            if folder.startswith(prefix):
                with _asking(folder):
                    for batch in obstore.list(self._store, self._key(folder), chunk_size=1000):
                        for meta in batch:
                            name = str(meta["path"]).rpartition("/")[2]
                            if len(name) == 62:
                                yield _listed(folder + name, meta)

    def stat(self, digest: str) -> Listed:
        """Asks the store, whatever is remembered."""
        import obstore

        key = self._place(digest)
        try:
            with _asking(digest):
                found = _listed(digest, obstore.head(self._store, key))
        except NotFound:
            self._forget(digest)
            raise self._missing(digest) from None
        self._note(found)
        return found

    def check(self, digest: str) -> None:
        if self._cache.find(checked(digest)) is None:
            self._stat(digest)

    def verify(self, digest: str) -> Iterator[int]:
        self._cache.drop(checked(digest))
        return (len(chunk) for chunk in self._verified(digest, self._stream(digest)))

    def remove(self, digest: str) -> None:
        self._forget(digest)
        self._cache.drop(digest)
        self._delete(self._place(digest))
        self._delete(self._key(f"{ASIDE}/{digest}"))

    def put_aside(self, digest: str) -> None:
        import obstore

        self._forget(digest)
        self._cache.drop(digest)
        try:
            with _asking(digest):
                obstore.rename(self._store, self._place(digest), self._key(f"{ASIDE}/{digest}"))
        except NotFound:
            pass

    def repair(self, digest: str) -> bool:
        return False

    def catch_up(self) -> Iterator[Listed]:
        return iter(())

    # --- inside ---------------------------------------------------------------------------------------------

    @cached_property
    def _store(self) -> S3Store:
        return self._connect()

    def _send(self, temporary: Path, blob: Blob) -> None:
        import obstore

        large = blob.size > PART
        with _asking(blob.digest):
            source: Any = temporary if large else temporary.read_bytes()
            obstore.put(
                self._store,
                self._place(blob.digest),
                source,
                use_multipart=large,
                chunk_size=PART,
                max_concurrency=AT_ONCE,
            )
        self._note(Listed(blob.digest, blob.size, self._clock()))

    def _stream(self, digest: str, span: tuple[int, int] | None = None) -> Iterator[bytes]:
        """Asks at once; the bytes come as they are taken."""
        import obstore

        try:
            with _asking(digest):
                options: Any = {} if span is None else {"range": span}
                got = obstore.get(self._store, self._place(digest), options=options)
        except NotFound:
            self._forget(digest)
            raise self._missing(digest) from None
        return _chunks(digest, got)

    def _verified(self, digest: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        for chunk in chunks:
            hasher.update(chunk)
            yield chunk
        if hasher.hexdigest() != digest:
            raise Damaged(f"Blob {digest}", "its bytes do not have its SHA-256.")

    def _stat(self, digest: str) -> Listed:
        with self._lock:
            known = self._known.get(checked(digest))
        return known[1] if known is not None and known[0] > self._clock() - KNOWN_FOR else self.stat(digest)

    def _note(self, found: Listed) -> None:
        with self._lock:
            self._known[found.digest] = (self._clock(), found)
            self._known.move_to_end(found.digest)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._known.pop(digest, None)

    def _missing(self, digest: str) -> NotFound | Damaged:
        import obstore

        try:
            with _asking(digest):
                obstore.head(self._store, self._key(f"{ASIDE}/{digest}"))
        except NotFound as error:
            return error
        return Damaged(f"Blob {digest}", "its bytes went bad in the store; upload it again.")

    def _delete(self, key: str) -> None:
        import obstore

        try:
            with _asking(key):
                obstore.delete(self._store, key)
        except NotFound:
            pass

    def _place(self, digest: str) -> str:
        checked(digest)
        return self._key(f"{digest[:2]}/{digest[2:]}")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


def _listed(digest: str, meta: Any) -> Listed:
    return Listed(digest, int(meta["size"]), meta["last_modified"].timestamp())


def _chunks(digest: str, got: Any) -> Iterator[bytes]:
    with _asking(digest):
        for data in got.stream(min_chunk_size=CHUNK):
            yield bytes(data)


def _file(path: Path, start: int, end: int | None) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while (end is None or start < end) and (data := file.read(min(CHUNK, CHUNK if end is None else end - start))):
            start += len(data)
            yield data
    if end is not None and start < end:
        raise Damaged(f"Blob {path.name}", "it is shorter than what was stored.")


@contextmanager
def _asking(digest: str) -> Iterator[None]:
    """Words what the store answers; its own sentences may name hosts, and stay in the exception's cause."""
    from obstore import exceptions

    try:
        yield
    except CratonError:
        raise
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise NotFound("blob", digest) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
        raise StorageFull("The store of blobs refuses the credential that the operator gave for it.") from error
    except (exceptions.BaseError, OSError) as error:
        raise StorageFull("The store of blobs did not answer as it should; try again.") from error
