"""Collections: named lists of repositories and other collections. Its maker changes one; all may read a public one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from craton.core.repo import RepoId
from craton.hub.collaboration.bounds import check_note
from craton.hub.collaboration.rows import new_id
from craton.hub.collaboration.tables import collection_items, collections
from craton.hub.names import is_repo
from craton.hub.reaching import Reached
from craton.store.database import Database

THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")
MAX_TITLE, MAX_DESCRIPTION = 100, 150  # characters
MAX_COLLECTIONS = 1000  # of one tenant
_ID = re.compile(r"[0-9a-f]{24}")

Sort = Literal["lastModified", "title"]


class Collection(Struct, frozen=True):
    """owner: the tenant; namespace: under which it is listed. position: among its owner's. modified: seconds."""

    owner: str
    id: str
    namespace: str
    title: str
    description: str | None
    theme: str
    private: bool
    position: int
    modified: float

    @property
    def slug(self) -> str:
        return f"{self.namespace}/{_slugged(self.title)}-{self.id}"


class CollectionChange(Struct, frozen=True):
    """What is None stays."""

    title: str | None = None
    description: str | None = None
    theme: str | None = None
    private: bool | None = None
    position: int | None = None


class CollectionFilter(Struct, frozen=True):
    """namespaces and holding: any of them; empty for no filter. text: in the title."""

    namespaces: tuple[str, ...] = ()
    holding: tuple[Reached, ...] | None = None
    text: str = ""


class Collections:
    """Blocking, safe in threads. `who` is the tenant that does it."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database, self.clock = database, clock

    def create(self, who: str, namespace: str, title: str, description: str | None, *, private: bool) -> Collection:
        """Raises Conflict, whose name is the slug, when there is one of this title."""
        if not is_repo(RepoId("model", namespace, "name")):
            raise InvalidRequest(f"{namespace[:96]!r} is not a namespace", "namespace")
        title = _check_title(title)
        description = None if description is None else check_note(description, "description", MAX_DESCRIPTION)
        table = collections.c
        mine = table.tenant == who
        with self.database.write() as connection:
            same = mine & (table.namespace == namespace) & (table.title == title)
            known = connection.execute(select(collections).where(same)).first()
            if known is not None:
                raise Conflict("collection", _collection(known).slug, "it exists already")
            count = connection.scalar(select(func.count()).select_from(collections).where(mine)) or 0
            if count >= MAX_COLLECTIONS:
                raise Conflict("collection", title, f"there may be {MAX_COLLECTIONS:,}")
            last = connection.scalar(select(func.max(table.position)).where(mine))
            made = Collection(
                owner=who,
                id=new_id(),
                namespace=namespace,
                title=title,
                description=description,
                theme=THEMES[0],
                private=private,
                position=0 if last is None else last + 1,
                modified=self.clock(),
            )
            connection.execute(
                insert(collections).values(
                    tenant=who, **{name: getattr(made, name) for name in made.__struct_fields__ if name != "owner"}
                )
            )
            return made

    def get(self, who: str, slug: str) -> Collection:
        """By its slug, whose title may be an old one. Raises NotFound, also for another tenant's private one."""
        with self.database.read() as connection:
            return find(connection, who, slug)

    def list(self, who: str, asked: CollectionFilter, sort: Sort, offset: int, limit: int) -> list[Collection]:
        """Those that the tenant may see; newest changes first, or by title."""
        table = collections.c
        wanted = or_(table.tenant == who, table.private.is_(False))
        if asked.namespaces:
            wanted &= table.namespace.in_(asked.namespaces)
        if asked.text:
            wanted &= func.lower(table.title).contains(asked.text.lower(), autoescape=True)
        if asked.holding is not None:
            wanted &= or_(*(_holds(reached) for reached in asked.holding))
        order = (table.title, table.id) if sort == "title" else (table.modified.desc(), table.id)
        query = select(collections).where(wanted).order_by(*order).offset(offset).limit(limit)
        with self.database.read() as connection:
            return [_collection(row) for row in connection.execute(query)]

    def change(self, who: str, slug: str, change: CollectionChange) -> Collection:
        values: dict[str, Any] = {"modified": self.clock()}
        if change.title is not None:
            values["title"] = _check_title(change.title)
        if change.description is not None:
            values["description"] = check_note(change.description, "description", MAX_DESCRIPTION)
        if change.theme is not None:
            if change.theme not in THEMES:
                raise InvalidRequest(f"use one of {', '.join(THEMES)}", "theme")
            values["theme"] = change.theme
        if change.private is not None:
            values["private"] = change.private
        with self.database.write() as connection:
            found = find_own(connection, who, slug)
            if change.position is not None:
                values["position"] = _move(connection, found, change.position)
            connection.execute(update(collections).where(_is(found)).values(values))
            return find(connection, who, slug)

    def delete(self, who: str, slug: str) -> None:
        items = collection_items.c
        with self.database.write() as connection:
            found = find_own(connection, who, slug)
            connection.execute(delete(collections).where(_is(found)))
            connection.execute(
                delete(collection_items).where(items.tenant == found.owner, items.collection == found.id)
            )
            connection.execute(
                delete(collection_items).where(
                    items.kind == "collection", items.owner == found.owner, items.target == found.id
                )
            )


def find(connection: Connection, who: str, slug: str) -> Collection:
    """Raises NotFound, also for another tenant's private one. The slug's title may be an old one."""
    found = find_id(connection, who, slug.rpartition("-")[2])
    if found is None or slug.partition("/")[0] != found.namespace:
        raise NotFound("collection", slug[:200])
    return found


def find_id(connection: Connection, who: str, id: str) -> Collection | None:
    table = collections.c
    if not _ID.fullmatch(id):
        return None
    seen = or_(table.tenant == who, table.private.is_(False))
    row = connection.execute(select(collections).where(table.id == id, seen)).one_or_none()
    return None if row is None else _collection(row)


def find_own(connection: Connection, who: str, slug: str) -> Collection:
    """Raises NotFound, Forbidden for another tenant's public one."""
    found = find(connection, who, slug)
    if found.owner != who:
        raise Forbidden(f"change {found.slug}, which belongs to somebody else")
    return found


def touch(connection: Connection, found: Collection, now: float) -> None:
    connection.execute(update(collections).where(_is(found)).values(modified=now))


def _move(connection: Connection, found: Collection, position: int) -> int:
    """Gives the others of its owner the places around it, and returns its own."""
    table = collections.c
    query = select(table.id).where(table.tenant == found.owner, table.id != found.id).order_by(table.position, table.id)
    others = list(connection.scalars(query))
    position = max(0, min(position, len(others)))
    for place, other in enumerate(others):
        at = place if place < position else place + 1
        connection.execute(
            update(collections).where(table.tenant == found.owner, table.id == other).values(position=at)
        )
    return position


def _holds(reached: Reached) -> ColumnElement[bool]:
    items = collection_items.c
    return exists().where(
        items.tenant == collections.c.tenant,
        items.collection == collections.c.id,
        items.owner == reached.owner,
        items.target == reached.id,
    )


def _is(found: Collection) -> ColumnElement[bool]:
    return (collections.c.tenant == found.owner) & (collections.c.id == found.id)


def _check_title(title: str) -> str:
    title = " ".join(title.split())
    if not 1 <= len(title) <= MAX_TITLE or not title.isprintable():
        raise InvalidRequest(f"use 1 to {MAX_TITLE} characters", "title")
    return title


def _slugged(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "collection"


def _collection(row: Row[Any]) -> Collection:
    return Collection(
        row.tenant,
        row.id,
        row.namespace,
        row.title,
        row.description,
        row.theme,
        row.private,
        row.position,
        row.modified,
    )
