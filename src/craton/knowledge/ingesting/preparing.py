"""One document from its source to chunks: fetched into a folder of its own, hashed, parsed, cut."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from craton.core.errors import CratonError, ModelUnavailable, StorageFull, Unsupported
from craton.core.knowledge import DataSource, Document, Location
from craton.data.documents import Chunker, Fetched, Item, Parsed, Parser, Source
from craton.knowledge.ingesting.work import Known, Prepared, Work
from craton.store.blobs import Blobs

MAX_TITLE = 1000  # characters
_READ = 1024 * 1024

log = logging.getLogger("craton.ingesting")


class Unchanged(Struct, frozen=True):
    """Its bytes, and what is said of them, are what is indexed."""

    known: Known
    item: Item


class Broken(Struct, frozen=True):
    """It cannot be indexed, and this is why."""

    item: Item
    location: Location
    reason: str


class Preparing:
    """versions: see `comparing.Comparing`. limit: bytes of a document. folder: for what is fetched; None for the
    system's."""

    def __init__(
        self,
        data_source: DataSource,
        source: Source,
        parser: Parser,
        chunker: Chunker,
        blobs: Blobs,
        versions: str,
        limit: int,
        folder: Path | None,
    ) -> None:
        self._data_source, self._source, self._parser, self._chunker = data_source, source, parser, chunker
        self._blobs, self._versions, self._limit, self._folder = blobs, versions, limit, folder

    async def prepare(self, work: Work) -> Prepared | Unchanged | Broken:
        """Raises only what is not this document's fault: StorageFull, ModelUnavailable (no process to parse it)."""
        location = Location(self._data_source.spec.kind, work.item.key)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="document-") as folder:
            try:
                fetched = await self._source.fetch(work.item, Path(folder), self._limit)
                location = fetched.location
                return await self._read(work, fetched)
            except (StorageFull, ModelUnavailable):
                raise
            except CratonError as error:
                return Broken(work.item, location, str(error))
            except Exception:
                log.exception("a document of data source %s could not be read", self._data_source.id)
                return Broken(work.item, location, "An internal error happened while it was read. The log has it.")

    async def _read(self, work: Work, fetched: Fetched) -> Prepared | Unchanged:
        size, digest = await asyncio.to_thread(_hash, fetched.path)
        known = work.known
        same_bytes = known is not None and known.digest == digest and known.stands(self._versions)
        if known is not None and same_bytes and _says_the_same(known.document, fetched):
            return Unchanged(known, work.item)
        parsed = await self._parser.parse(fetched.path, fetched.name, fetched.media_type)
        chunks = await self._chunker.chunk(parsed, self._data_source.chunking) if parsed.text.strip() else ()
        if not any(chunk.pieces for chunk in chunks):
            raise Unsupported("A document without text")
        chunks = tuple(chunk for chunk in chunks if chunk.pieces)
        blob = await asyncio.to_thread(self._blobs.put, _encoded(parsed.text))
        document = Document(
            id=secrets.token_hex(16) if known is None else known.id,
            knowledge_base=self._data_source.knowledge_base,
            source=self._data_source.id,
            key=work.item.key,
            location=fetched.location,
            status="indexed",
            updated=0.0,  # set when it is written
            reason=" ".join(parsed.notes),
            title=_title(fetched, parsed),
            media_type=parsed.media_type,
            bytes=size,
            characters=len(parsed.text),
            chunks=len(chunks),
            metadata=fetched.metadata,
            access=fetched.access,
            text=blob.digest,
        )
        return Prepared(work, document, digest, parsed.text, chunks, same_bytes)


def _says_the_same(document: Document, fetched: Fetched) -> bool:
    return (
        document.metadata == fetched.metadata
        and document.access == fetched.access
        and document.location == fetched.location
        and (not fetched.title or document.title == fetched.title[:MAX_TITLE])
    )


def _title(fetched: Fetched, parsed: Parsed) -> str:
    return (fetched.title or parsed.title or fetched.name)[:MAX_TITLE]


def _hash(path: Path) -> tuple[int, str]:
    hasher, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_READ):
            hasher.update(data)
            size += len(data)
    return size, hasher.hexdigest()


def _encoded(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _READ):
        yield text[start : start + _READ].encode("utf-8", "replace")
