"""How knowledge bases stand in rows: encoding, finding, paging. Every query has the tenant in its condition."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, or_, select, tuple_

from craton.core.errors import InvalidRequest, NotFound
from craton.core.knowledge import DataSource, Document, KnowledgeBase
from craton.knowledge.protocol import Page
from craton.knowledge.tables import bases, documents, sources

T = TypeVar("T")
MAX_PAGE = 1000
_LETTERS = string.ascii_uppercase + string.digits
_ENCODER = msgspec.json.Encoder()


def new_id() -> str:
    """Ten letters and digits: 51 bits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(10))


def encode(value: object) -> str:
    return _ENCODER.encode(value).decode()


def decode(text: str, kind: type[T]) -> T:
    return msgspec.json.decode(text, type=kind)


def digest(*parts: str | bytes) -> str:
    """SHA-256 of the parts, told apart by their lengths; of one part: of it alone."""
    raw = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]
    if len(raw) == 1:
        return hashlib.sha256(raw[0]).hexdigest()
    hasher = hashlib.sha256()
    for part in raw:
        hasher.update(len(part).to_bytes(8, "little"))
        hasher.update(part)
    return hasher.hexdigest()


_BASE = select(bases).where(  # made once: every question asks it
    bases.c.tenant == bindparam("tenant"), or_(bases.c.id == bindparam("base"), bases.c.name == bindparam("base"))
)


def base_row(connection: Connection, tenant: str, base: str) -> Row[Any]:
    """By id or name. Raises NotFound, also for one that is being deleted by name (its name is free again)."""
    rows = {row.id: row for row in connection.execute(_BASE, {"tenant": tenant, "base": base})}
    found = rows.get(base) or next(iter(rows.values()), None)
    if found is None:
        raise NotFound("knowledge base", base[:200])
    return found


def find_base(connection: Connection, tenant: str, base: str) -> KnowledgeBase:
    """By id or name. Raises NotFound."""
    return decode(base_row(connection, tenant, base).value, KnowledgeBase)


def source_row(connection: Connection, tenant: str, base: str, source: str) -> Row[Any]:
    """base: its id. source: id or name. Raises NotFound."""
    query = select(sources).where(
        sources.c.tenant == tenant, sources.c.base == base, or_(sources.c.id == source, sources.c.name == source)
    )
    rows = {row.id: row for row in connection.execute(query)}
    found = rows.get(source) or next(iter(rows.values()), None)
    if found is None:
        raise NotFound("data source", source[:200])
    return found


def find_source(connection: Connection, tenant: str, base: str, source: str) -> DataSource:
    return decode(source_row(connection, tenant, base, source).value, DataSource)


def document_of(row: Row[Any]) -> Document:
    """The row as its owner sees it."""
    return decode(row.value, Document)


def documents_of(tenant: str, base: str, source: str) -> ColumnElement[bool]:
    """The condition for a source's documents."""
    return (documents.c.tenant == tenant) & (documents.c.base == base) & (documents.c.source == source)


def new_row(tenant: str, document: Document) -> dict[str, Any]:
    """The values of a row for a document of which nothing is indexed yet."""
    return {
        "tenant": tenant,
        "id": document.id,
        "base": document.knowledge_base,
        "source": document.source,
        "key": document.key,
        "key_digest": digest(document.key),
        "status": document.status,
        "updated": document.updated,
        "generation": 0,
        "pending": 0,
        "last": 0,
        "next": "",
        "etag": "",
        "metadata_etag": "",
        "digest": "",
        "versions": "",
        "seen": "",
        "value": encode(document),
    }


def paged(
    connection: Connection, query: Select[Any], order: Sequence[ColumnElement[Any]], page: Page
) -> tuple[list[Row[Any]], str]:
    """The rows of a page, sorted by `order` (whose columns together are unique), and the next page's cursor.

    Raises InvalidRequest for a cursor that was not given out, or a size out of range.
    """
    if not 0 < page.size <= MAX_PAGE:
        raise InvalidRequest(f"a page has 1 to {MAX_PAGE} entries", "page")
    if page.cursor:
        query = query.where(tuple_(*order) > tuple_(*_after(page.cursor, len(order))))
    rows = list(connection.execute(query.order_by(*order).limit(page.size + 1)))
    if len(rows) <= page.size:
        return rows, ""
    last = [getattr(rows[page.size - 1], str(column.key)) for column in order]
    return rows[: page.size], base64.urlsafe_b64encode(_ENCODER.encode(last)).decode()


def _after(cursor: str, length: int) -> list[str | float]:
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=list[str | float])
    except ValueError:
        raise InvalidRequest("it was not given out", "cursor") from None
    if len(values) != length:
        raise InvalidRequest("it was not given out", "cursor")
    return values


def delete_limited(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    """Deletes up to `limit` rows, so that no transaction is long. How many it deleted."""
    keys = list(table.primary_key)
    chosen = list(connection.execute(select(*keys).where(condition).limit(limit)))
    if chosen:
        if len(keys) == 1:
            connection.execute(table.delete().where(keys[0].in_([row[0] for row in chosen])))
        else:
            connection.execute(table.delete().where(tuple_(*keys).in_([tuple(row) for row in chosen])))
    return len(chosen)
