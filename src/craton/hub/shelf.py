"""What repositories say about themselves, kept as rows so that they can be found by it.

The rows are those of the main branch and follow it inside the transaction that moves it; everything in them can be
dropped and read again.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, and_, delete, insert, select

from craton.core.errors import NotFound
from craton.core.repo import RepoId, RepoKind, TreeEntry
from craton.hub import rows
from craton.hub.changes import Change, Updated
from craton.hub.labels import READER, Card, label
from craton.hub.refs import Refs
from craton.hub.tables import cards, refs, repositories, tags
from craton.hub.walking import walk
from craton.store.blobs import Blobs
from craton.store.database import Database

MAX_ROOT = 2_000  # entries of the root folder that are looked at
BATCH = 50  # repositories that are caught up with at once


class Shelf:
    """Blocking, safe in threads. `hear` is a listener of `Hub`."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def hear(self, connection: Connection, change: Change) -> None:
        """Reads the card again when main has moved."""
        if isinstance(change, Updated):
            place = change.place
            for moved in change.refs:
                if moved.ref == "refs/heads/main" and moved.new is not None:
                    self._index(connection, place.owner, place.id, place.repo.kind, moved.new)

    def catch_up(self) -> int:
        """Reads the cards that are missing, or were read by an older reader; how many those were."""
        total = 0
        while True:
            with self._database.write() as connection:
                late = connection.execute(_behind().limit(BATCH)).all()
                for row in late:
                    self._index(connection, row.tenant, row.id, row.kind, row.revision)
            total += len(late)
            if len(late) < BATCH:
                return total

    def card(self, tenant: str, repo: RepoId, revision: str) -> Card:
        """That of any revision. Raises NotFound."""
        with self._database.read() as connection:
            found = rows.find(connection, tenant, repo).id
            known = kept(connection, tenant, found)
            commit = rows.resolve(connection, tenant, found, revision)
            if known is not None and Refs(connection, tenant, found).get("branch", "main") == commit:
                return known
            root = _root(connection, tenant, found, commit)
        return label(repo.kind, root, self._blobs.read, known)

    def _index(self, connection: Connection, tenant: str, repository: str, kind: RepoKind, revision: str) -> None:
        known = kept(connection, tenant, repository)
        card = label(kind, _root(connection, tenant, repository, revision), self._blobs.read, known)
        for table in (cards, tags):
            connection.execute(delete(table).where(table.c.tenant == tenant, table.c.repository == repository))
        mine = {"tenant": tenant, "repository": repository}
        text = msgspec.json.encode(card).decode()
        connection.execute(
            insert(cards).values(**mine, revision=revision, reader=READER, pipeline=card.pipeline, card=text)
        )
        if card.tags:
            connection.execute(insert(tags), [{**mine, "tag": tag} for tag in card.tags])


def kept(connection: Connection, tenant: str, repository: str) -> Card | None:
    """The card of main as it was read last."""
    query = select(cards.c.card).where(
        cards.c.tenant == tenant, cards.c.repository == repository, cards.c.reader == READER
    )
    text = connection.scalar(query)
    return None if text is None else msgspec.json.decode(text, type=Card)


def _behind() -> Select[Any]:
    """Repositories with a main branch whose card was not read."""
    table, head, card = repositories.c, refs.c, cards.c
    mine = (head.tenant == table.tenant) & (head.repository == table.id)
    main = and_(mine, head.kind == "branch", head.name == "main")
    same = (card.tenant == table.tenant) & (card.repository == table.id)
    return (
        select(table.tenant, table.id, table.kind, head.revision)
        .join(refs, main)
        .outerjoin(cards, same)
        .where((card.reader.is_(None)) | (card.reader < READER) | (card.revision != head.revision))
    )


def _root(connection: Connection, tenant: str, repository: str, revision: str) -> dict[str, TreeEntry]:
    """The files of the root folder, by name."""
    try:
        root = rows.find_revision(connection, tenant, repository, revision).tree
    except NotFound:
        return {}
    items = islice(walk(root, rows.fetcher(connection, tenant, repository)), MAX_ROOT)
    return {item.path: item for item in items if isinstance(item, TreeEntry)}
