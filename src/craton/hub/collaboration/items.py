"""What is in a collection: repositories and other collections, by id, so that they may be renamed and moved.

What a viewer may not see is not shown to that viewer, and what was deleted is gone from every collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, NotFound
from craton.core.repo import RepoId
from craton.hub.collaboration.bounds import check_note
from craton.hub.collaboration.collections import Collection, Collections, find, find_id, find_own, touch
from craton.hub.collaboration.likes import visible
from craton.hub.collaboration.rows import new_id
from craton.hub.collaboration.tables import collection_items
from craton.hub.reaching import Reached
from craton.hub.tables import repositories

MAX_ITEMS = 500
MAX_NOTE = 500  # characters

ItemKind = Literal["model", "dataset", "space", "collection"]
_table = collection_items.c


class Item(Struct, frozen=True):
    """id: of the item itself; name: namespace/name, or a collection's slug. Times are seconds since the epoch."""

    id: str
    kind: ItemKind
    name: str
    note: str | None
    position: int
    modified: float
    private: bool
    gated: str = ""
    title: str = ""


class Items:
    """Blocking, safe in threads. `who` is the tenant that does it."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._database = collections.database

    def of(self, who: str, found: Collection, limit: int = MAX_ITEMS) -> list[Item]:
        """Those that the tenant may see, in their order."""
        with self._database.read() as connection:
            return _shown(connection, who, found)[:limit]

    def add(self, who: str, slug: str, item: Reached | str, note: str | None) -> Collection:
        """item: a repository, or another collection's slug. Raises Conflict when it is in already."""
        note = None if note is None else check_note(note, "note", MAX_NOTE)
        with self._database.write() as connection:
            found = find_own(connection, who, slug)
            kind, owner, target, name = _target(connection, who, found, item)
            mine = _in(found)
            if connection.scalar(select(_table.id).where(mine, _table.owner == owner, _table.target == target)):
                raise Conflict("item", name, "it is in the collection already")
            count = connection.scalar(select(func.count()).select_from(collection_items).where(mine)) or 0
            if count >= MAX_ITEMS:
                raise Conflict("collection", found.slug, f"it holds {MAX_ITEMS} items")
            now = self._collections.clock()
            connection.execute(
                insert(collection_items).values(
                    tenant=found.owner,
                    collection=found.id,
                    id=new_id(),
                    position=count,
                    kind=kind,
                    owner=owner,
                    target=target,
                    note=note,
                    created=now,
                )
            )
            touch(connection, found, now)
            return found

    def change(self, who: str, slug: str, item: str, note: str | None, position: int | None) -> None:
        """What is None stays. position: where it comes to stand; the others move up."""
        with self._database.write() as connection:
            found = find_own(connection, who, slug)
            order = _order(connection, found)
            _check_there(order, item)
            if note is not None:
                text = check_note(note, "note", MAX_NOTE)
                connection.execute(update(collection_items).where(_in(found), _table.id == item).values(note=text))
            if position is not None:
                order.remove(item)
                order.insert(max(0, min(position, len(order))), item)
                _renumber(connection, found, order)
            touch(connection, found, self._collections.clock())

    def remove(self, who: str, slug: str, item: str) -> None:
        with self._database.write() as connection:
            found = find_own(connection, who, slug)
            order = _order(connection, found)
            _check_there(order, item)
            connection.execute(delete(collection_items).where(_in(found), _table.id == item))
            order.remove(item)
            _renumber(connection, found, order)
            touch(connection, found, self._collections.clock())


def _target(connection: Connection, who: str, found: Collection, item: Reached | str) -> tuple[ItemKind, str, str, str]:
    """Kind, owner, id and name of what is to be added."""
    if isinstance(item, Reached):
        return item.repo.kind, item.owner, item.id, item.repo.path
    other = find(connection, who, item)
    if other.id == found.id:
        raise Conflict("item", other.slug, "a collection cannot hold itself")
    return "collection", other.owner, other.id, other.slug


def _shown(connection: Connection, who: str, found: Collection) -> list[Item]:
    table = repositories.c
    query = (
        select(_table.id, _table.note, _table.position, table.kind, table.namespace, table.name)
        .add_columns(table.private, table.gated, table.modified, table.created)
        .join_from(collection_items, repositories, (table.tenant == _table.owner) & (table.id == _table.target))
        .where(_in(found), visible(who))
    )
    items = [
        Item(
            row.id,
            row.kind,
            RepoId(row.kind, row.namespace, row.name).path,
            row.note,
            row.position,
            row.modified or row.created,
            row.private,
            row.gated,
        )
        for row in connection.execute(query)
    ]
    nested = select(_table.id, _table.note, _table.position, _table.target).where(
        _in(found), _table.kind == "collection"
    )
    for row in connection.execute(nested):
        other = find_id(connection, who, row.target)
        if other is None:
            continue
        items.append(
            Item(
                row.id,
                "collection",
                other.slug,
                row.note,
                row.position,
                other.modified,
                other.private,
                title=other.title,
            )
        )
    return sorted(items, key=lambda item: item.position)


def _order(connection: Connection, found: Collection) -> list[str]:
    return list(connection.scalars(select(_table.id).where(_in(found)).order_by(_table.position, _table.id)))


def _check_there(order: Sequence[str], item: str) -> None:
    if item not in order:
        raise NotFound("item", item[:64])


def _renumber(connection: Connection, found: Collection, order: Sequence[str]) -> None:
    for position, item in enumerate(order):
        connection.execute(update(collection_items).where(_in(found), _table.id == item).values(position=position))


def _in(found: Collection) -> ColumnElement[bool]:
    return (_table.tenant == found.owner) & (_table.collection == found.id)
