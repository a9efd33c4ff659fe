"""The ledger as its owners see it, and documents that they hand in directly."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Row, insert, select, update

from craton.core.errors import InvalidRequest, NotFound, TooLarge, Unsupported
from craton.core.knowledge import DataSource, Document, Location
from craton.data.sources.direct import PendingDocument
from craton.hub.keeping.condemned import reprieve
from craton.knowledge.ingesting.direct import hand_in, take_back
from craton.knowledge.ingestions import Ingestions, usable
from craton.knowledge.protocol import DirectDocument, Page
from craton.knowledge.rows import (
    decode,
    digest,
    document_of,
    documents_of,
    encode,
    find_base,
    find_source,
    new_row,
    paged,
)
from craton.knowledge.syncing.sweeping import forget
from craton.knowledge.tables import documents
from craton.knowledge.tokens import Token
from craton.store.blobs import Blobs
from craton.store.database import Database

MAX_DOCUMENTS = 1000  # of one call
MAX_KEY = 2048  # characters
MAX_BYTES = 50 * 1024 * 1024  # of one document that is handed in
HANDED_IN = "Documents that were handed in."


class Documents:
    """`knowledge.protocol.Documents`."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        ingestions: Ingestions,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._database, self._blobs, self._ingestions = database, blobs, ingestions
        self._clock, self._wake = clock, wake

    async def ingest(
        self, tenant: str, base: str, source: str, documents: Sequence[DirectDocument], token: str = ""
    ) -> list[Document]:
        handed = await asyncio.to_thread(self._store, documents)
        request = [base, source, list(handed.values())]
        once = Token(tenant, "IngestKnowledgeBaseDocuments", token, request, self._clock())
        return await asyncio.to_thread(self._ingest, tenant, base, source, handed, once)

    def _store(self, documents: Sequence[DirectDocument]) -> dict[str, PendingDocument]:
        """Their bytes as blobs, which must be there before a row names them."""
        if not 0 < len(documents) <= MAX_DOCUMENTS:
            raise InvalidRequest(f"one call takes 1 to {MAX_DOCUMENTS} documents", "documents")
        handed: dict[str, PendingDocument] = {}
        for index, document in enumerate(documents):
            field = f"documents[{index}]"
            _check_key(document.key, field)
            if document.key in handed:
                raise InvalidRequest("two documents have the same id", field)
            content = document.content
            if content is None:
                if not document.key.startswith("s3://"):
                    raise InvalidRequest("it has no content, and its id is no s3:// address", field)
                handed[document.key] = PendingDocument(
                    document.key, uri=document.key, metadata=document.metadata, access=document.access
                )
                continue
            if len(content.data) > MAX_BYTES:
                raise TooLarge(field, MAX_BYTES, len(content.data))
            handed[document.key] = PendingDocument(
                document.key,
                self._blobs.put([content.data]).digest,
                len(content.data),
                content.name,
                content.media_type,
                uri=content.location.uri if content.location else "",
                metadata=document.metadata,
                access=document.access,
            )
        return handed

    def _ingest(
        self, tenant: str, base: str, source: str, handed: dict[str, PendingDocument], token: Token
    ) -> list[Document]:
        with self._database.write() as connection:
            found, data_source = usable(connection, tenant, base, source)
            if data_source.spec.kind != "direct":
                raise Unsupported(
                    f"Handing documents to the {data_source.spec.kind} source {data_source.name!r}",
                    "Start an ingestion of it, or make a data source for direct documents.",
                )
            if token.known(connection) is None:
                reprieve(connection, self._blobs, [value.digest for value in handed.values() if value.digest])
                for value in handed.values():
                    hand_in(connection, data_source, value)
                    self._announce(connection, data_source, value)
                self._ingestions.join_or_begin(connection, found, data_source, HANDED_IN)
                token.remember(connection, "")
            rows = _rows(connection, data_source, list(handed))
        return [document_of(rows[key]) for key in handed if key in rows]

    def _announce(self, connection: Connection, source: DataSource, handed: PendingDocument) -> None:
        """Its row says that it is pending; what could be found of it until now can be found until it is indexed."""
        now = self._clock()
        row = _rows(connection, source, [handed.key]).get(handed.key)
        if row is not None:
            value = replace(document_of(row), status="pending", reason="", updated=now)
            connection.execute(
                update(documents)
                .where(documents.c.tenant == source.tenant, documents.c.id == row.id)
                .values(value=encode(value), status="pending", updated=now)
            )
            return
        id = secrets.token_hex(16)
        value = Document(
            id,
            source.knowledge_base,
            source.id,
            handed.key,
            Location("direct", handed.uri or handed.key),
            "pending",
            now,
            metadata=handed.metadata,
            access=handed.access,
        )
        connection.execute(insert(documents).values(new_row(source.tenant, value)))

    async def get(self, tenant: str, base: str, source: str, keys: Sequence[str]) -> list[Document | None]:
        return await asyncio.to_thread(self._get, tenant, base, source, keys)

    def _get(self, tenant: str, base: str, source: str, keys: Sequence[str]) -> list[Document | None]:
        _check_keys(keys)
        with self._database.read() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            own = [_own_key(found, key) for key in keys]
            rows = _rows(connection, found, own)
        return [document_of(rows[key]) if key in rows else None for key in own]

    async def delete(
        self, tenant: str, base: str, source: str, keys: Sequence[str], token: str = ""
    ) -> list[Document | None]:
        once = Token(tenant, "DeleteKnowledgeBaseDocuments", token, [base, source, list(keys)], self._clock())
        deleted = await asyncio.to_thread(self._delete, tenant, base, source, keys, once)
        self._wake()
        return deleted

    def _delete(self, tenant: str, base: str, source: str, keys: Sequence[str], token: Token) -> list[Document | None]:
        _check_keys(keys)
        now = self._clock()
        with self._database.write() as connection:
            _, data_source = usable(connection, tenant, base, source)
            if (known := token.known(connection)) is not None:
                return decode(known, list[Document | None])
            own = [_own_key(data_source, key) for key in keys]
            rows = _rows(connection, data_source, own)
            take_back(connection, data_source, own)
            forget(connection, tenant, [row.id for row in rows.values()], now)
            answer = [
                replace(document_of(rows[key]), status="deleting", updated=now) if key in rows else None for key in own
            ]
            token.remember(connection, encode(answer))
        return answer

    async def find(self, tenant: str, base: str, source: str, document: str) -> Document:
        return await asyncio.to_thread(self._find, tenant, base, source, document)

    def _find(self, tenant: str, base: str, source: str, document: str) -> Document:
        with self._database.read() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            mine = documents_of(tenant, found.knowledge_base, found.id)
            row = connection.execute(select(documents).where(mine, documents.c.id == document)).one_or_none()
        if row is None or row.status == "deleting":
            raise NotFound("document", document[:200])
        return document_of(row)

    async def text(self, tenant: str, base: str, document: str, user: str = "") -> tuple[Document, str]:
        return await asyncio.to_thread(self._text, tenant, base, document, user)

    def _text(self, tenant: str, base: str, document: str, user: str) -> tuple[Document, str]:
        with self._database.read() as connection:
            found = find_base(connection, tenant, base)
            row = connection.execute(
                select(documents).where(
                    documents.c.tenant == tenant, documents.c.base == found.id, documents.c.id == document
                )
            ).one_or_none()
        value = None if row is None or row.generation == 0 else document_of(row)
        if value is None or not value.text or not value.access.admits(user):
            raise NotFound("document", document[:200])
        return value, b"".join(self._blobs.read(value.text)).decode()

    def _list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Document], str]:
        with self._database.read() as connection:
            found = find_source(connection, tenant, find_base(connection, tenant, base).id, source)
            query = select(documents).where(documents_of(tenant, found.knowledge_base, found.id))
            rows, cursor = paged(connection, query, (documents.c.id,), page)
        return [document_of(row) for row in rows], cursor

    async def list(self, tenant: str, base: str, source: str, page: Page) -> tuple[list[Document], str]:
        return await asyncio.to_thread(self._list, tenant, base, source, page)


def _rows(connection: Connection, source: DataSource, keys: Sequence[str]) -> dict[str, Row[Any]]:
    query = select(documents).where(
        documents_of(source.tenant, source.knowledge_base, source.id),
        documents.c.key_digest.in_([digest(key) for key in keys]),
    )
    return {row.key: row for row in connection.execute(query)}


def _own_key(source: DataSource, key: str) -> str:
    """A bucket's documents can be named by their addresses, too."""
    if source.spec.kind != "bucket":
        return key
    return key.removeprefix(f"s3://{source.spec.options.get('bucket', '')}/")


def _check_key(key: str, field: str) -> None:
    if not 0 < len(key) <= MAX_KEY or "\0" in key:
        raise InvalidRequest(f"an id has 1 to {MAX_KEY} characters", field)


def _check_keys(keys: Sequence[str]) -> None:
    if not 0 < len(keys) <= MAX_DOCUMENTS:
        raise InvalidRequest(f"one call takes 1 to {MAX_DOCUMENTS} documents", "documents")
