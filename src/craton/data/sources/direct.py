"""Documents that were handed in: each waits, with its bytes stored, until an ingestion takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from craton.core.errors import NotFound, TooLarge
from craton.core.knowledge import Access, Location, Metadata
from craton.core.streams import closing
from craton.data.documents import Fetched, Item
from craton.data.sources.bucket import Buckets
from craton.data.sources.files import Writing, stream
from craton.data.sources.records import digest


class PendingDocument(Struct, frozen=True, omit_defaults=True):
    """digest: of the blob that holds its bytes; "" when they lie at `uri` ("s3://bucket/key") instead. uri: "" for a
    document whose own id is its address. deleted: its caller took it back."""

    key: str
    digest: str = ""
    size: int | None = None
    name: str = ""
    media_type: str = ""
    title: str = ""
    uri: str = ""
    metadata: Metadata = {}
    access: Access = Access()
    deleted: bool = False


class Pending(Protocol):
    """The waiting documents of one data source."""

    def list(self) -> AsyncIterator[PendingDocument]:
        """Those that no ingestion has taken yet; each key once."""
        ...

    async def get(self, key: str) -> PendingDocument | None: ...


class DirectSource:
    """Keys are the callers' own ids. Only what waits is listed; what is not, stays as it is."""

    incremental = True

    def __init__(
        self, pending: Pending, read: Callable[[str], Iterator[bytes]], buckets: Buckets | None, tenant: str
    ) -> None:
        """read: the bytes of a blob by its digest, blocking; raises NotFound, Damaged."""
        self._pending, self._read, self._buckets, self._tenant = pending, read, buckets, tenant

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        del cursor
        async with closing(self._pending.list()) as documents:
            async for document in documents:
                beside = msgspec.json.encode((document.title, document.name, document.metadata, document.access))
                yield Item(
                    document.key,
                    document.digest,  # "" when it lies elsewhere: only its bytes can tell
                    digest(beside),
                    document.size,
                    document.deleted,
                )

    def cursor(self) -> str | None:
        return None

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        document = await self._pending.get(item.key)
        if document is None or document.deleted:
            raise NotFound("document", item.key[:200])
        what = f"The document {item.key!r}"
        if document.size is not None and document.size > limit:
            raise TooLarge(what, limit, document.size)
        if document.digest:
            path = await asyncio.to_thread(self._copy, document.digest, folder, what, limit)
        else:
            path = await self._from_bucket(document, folder, what, limit)
        return Fetched(
            path,
            Location("direct", document.uri or document.key),
            document.name or document.uri.rpartition("/")[2] or document.key,
            document.media_type,
            document.title,
            document.metadata,
            document.access,
        )

    def _copy(self, blob: str, folder: Path, what: str, limit: int) -> Path:
        with Writing(folder, what, limit) as file:
            for data in self._read(blob):
                file.write(data)
        return file.path

    async def _from_bucket(self, document: PendingDocument, folder: Path, what: str, limit: int) -> Path:
        scheme, _, rest = document.uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or self._buckets is None or not key:
            raise NotFound("document", document.key[:200])
        return await stream(folder, self._buckets.read(self._tenant, bucket, key), what, limit)

    async def close(self) -> None:
        """Holds nothing open between two calls."""
