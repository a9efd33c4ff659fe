"""A bucket: every object is a document, with its metadata file beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from msgspec.structs import replace

from craton.core.errors import NotFound, SourceFailed, TooLarge
from craton.core.knowledge import Location
from craton.core.streams import closing
from craton.data.documents import Fetched, Item
from craton.data.sources.files import stream
from craton.data.sources.globs import Globs
from craton.data.sources.options import BucketOptions
from craton.data.sources.sidecars import MAX_BYTES, SUFFIX, Sidecar, is_sidecar, read_sidecar

MAX_KEY = 1024  # bytes: S3 has no longer ones


class ObjectInfo(Protocol):
    """size: bytes. etag: changes with the bytes."""

    @property
    def key(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...


class Buckets(Protocol):
    """What is needed of buckets. Both raise NotFound."""

    def list(self, tenant: str, bucket: str, prefix: str) -> AsyncIterator[ObjectInfo]:
        """In the order of the keys' UTF-8 bytes, as S3 lists."""
        ...

    def read(self, tenant: str, bucket: str, key: str) -> AsyncIterator[bytes]: ...


class BucketSource:
    """Keys are the objects' own."""

    incremental = False

    def __init__(self, buckets: Buckets, tenant: str, options: BucketOptions) -> None:
        self._buckets, self._tenant, self._bucket = buckets, tenant, options.bucket
        self._prefixes = outermost(options.prefixes)
        self._globs = Globs(options.include, options.exclude)

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        del cursor
        for prefix in self._prefixes:
            async with closing(self._list(prefix)) as items:
                async for item in items:
                    yield item

    async def _list(self, prefix: str) -> AsyncIterator[Item]:
        """A metadata file follows its object, though not at once ("a", "a-b", "a.metadata.json"): an object waits until
        the file has come or cannot come any more. What waits are beginnings of the present key, so they are few."""
        waiting: dict[str, Item] = {}  # by the key of the metadata file
        last = b""
        async with closing(self._buckets.list(self._tenant, self._bucket, prefix)) as objects:
            async for info in objects:
                here = info.key.encode()
                if here < last:
                    raise SourceFailed(self._bucket, "it lists its objects out of order")
                last = here
                for beside in [beside for beside in waiting if beside.encode() < here]:
                    yield waiting.pop(beside)
                if is_sidecar(info.key):
                    if info.key in waiting:
                        yield replace(waiting.pop(info.key), metadata_etag=info.etag)
                elif not info.key.endswith("/") and self._globs.admits(info.key):  # "a/" is a folder's mark
                    waiting[f"{info.key}{SUFFIX}"] = Item(info.key, info.etag, size=info.size)
        for item in waiting.values():
            yield item

    def cursor(self) -> str | None:
        return None

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        what = f"The object {item.key!r}"
        if item.size is not None and item.size > limit:
            raise TooLarge(what, limit, item.size)
        sidecar = await self._sidecar(item.key)
        path = await stream(folder, self._buckets.read(self._tenant, self._bucket, item.key), what, limit)
        return Fetched(
            path,
            Location("bucket", f"s3://{self._bucket}/{item.key}"),
            PurePosixPath(item.key).name,
            metadata=sidecar.metadata,
            access=sidecar.access,
        )

    async def _sidecar(self, key: str) -> Sidecar:
        """Looked for whatever the listing said: one that came since may hold an access list."""
        beside, data = f"{key}{SUFFIX}", b""
        if len(beside.encode()) > MAX_KEY:
            return Sidecar()
        try:
            async with closing(self._buckets.read(self._tenant, self._bucket, beside)) as pieces:
                async for piece in pieces:
                    data += piece
                    if len(data) > MAX_BYTES:
                        break  # read_sidecar refuses it
        except NotFound:
            return Sidecar()
        return read_sidecar(data, key)

    async def close(self) -> None:
        """Holds nothing open between two calls."""


def outermost(prefixes: Sequence[str]) -> list[str]:
    """Without those that lie within another: nothing is listed twice. All of them: [""]."""
    found: list[str] = []
    for prefix in sorted(prefixes):
        if not (found and prefix.startswith(found[-1])):
            found.append(prefix)
    return found or [""]
