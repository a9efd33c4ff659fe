"""Which blobs the rows of knowledge bases name, for whoever collects what nobody needs."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct
from sqlalchemy import select

from craton.knowledge.tables import direct, documents
from craton.store.database import Database

BATCH = 500


class _Named(Struct):
    """text: of a Document; digest: of a PendingDocument."""

    text: str = ""
    digest: str = ""


_decode = msgspec.json.Decoder(_Named).decode


def named_blobs(database: Database) -> Iterator[str]:
    """Digests: the texts of documents, those being written among them, and the bytes of documents handed in."""
    table, key = documents.c, ("", "")
    while True:
        with database.read() as connection:
            query = select(table.tenant, table.id, table.value, table.next).order_by(table.tenant, table.id)
            after = (table.tenant > key[0]) | ((table.tenant == key[0]) & (table.id > key[1]))
            found = connection.execute(query.where(after).limit(BATCH)).all()
        for row in found:
            for text in (row.value, row.next):
                if text and (named := _decode(text).text):
                    yield named
        if len(found) < BATCH:
            break
        key = (found[-1].tenant, found[-1].id)
    number = 0
    while True:
        with database.read() as connection:
            later = select(direct.c.number, direct.c.value).where(direct.c.number > number).order_by(direct.c.number)
            handed = connection.execute(later.limit(BATCH)).all()
        yield from (digest for row in handed if (digest := _decode(row.value).digest))
        if len(handed) < BATCH:
            return
        number = handed[-1].number
