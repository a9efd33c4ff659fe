"""What may be said of a user (a tenant) and of a namespace to whoever asks: counts of what the asker may see."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import func, select

from craton.core.errors import NotFound
from craton.core.repo import RepoKind
from craton.hub.collaboration.likes import visible
from craton.hub.collaboration.tables import discussions, likes
from craton.hub.tables import repositories
from craton.store.database import Database

MAX_NAMESPACES = 100


class Overview(Struct, frozen=True):
    """repositories: of each kind. namespaces: under which a user's are."""

    name: str
    repositories: dict[RepoKind, int]
    discussions: int = 0
    likes: int = 0
    namespaces: tuple[str, ...] = ()


class Users:
    """Blocking, safe in threads. is_tenant: whether there is a tenant of this name."""

    def __init__(self, database: Database, is_tenant: Callable[[str], bool]) -> None:
        self._database, self.known = database, is_tenant

    def user(self, viewer: str, name: str) -> Overview:
        """Raises NotFound."""
        if not self.known(name):
            raise NotFound("user", name[:64])
        table = repositories.c
        seen = visible(viewer)
        here = (table.tenant == discussions.c.tenant) & (table.id == discussions.c.repository)
        there = (table.tenant == likes.c.tenant) & (table.id == likes.c.repository)
        counted = select(table.kind, func.count().label("total")).where(table.tenant == name, seen).group_by(table.kind)
        opened = select(func.count()).select_from(discussions).join(repositories, here)
        liked = select(func.count()).select_from(likes).join(repositories, there)
        spaces = select(table.namespace).where(table.tenant == name, seen).distinct().order_by(table.namespace)
        with self._database.read() as connection:
            return Overview(
                name,
                {row.kind: row.total for row in connection.execute(counted)},
                connection.scalar(opened.where(discussions.c.author == name, seen)) or 0,
                connection.scalar(liked.where(likes.c.user == name, seen)) or 0,
                tuple(connection.scalars(spaces.limit(MAX_NAMESPACES))),
            )

    def namespace(self, viewer: str, name: str) -> Overview:
        """A namespace that holds something the viewer may see. Raises NotFound."""
        table = repositories.c
        counted = select(table.kind, func.count().label("total")).where(table.namespace == name, visible(viewer))
        with self._database.read() as connection:
            counts = {row.kind: row.total for row in connection.execute(counted.group_by(table.kind))}
        if not counts:
            raise NotFound("organization", name[:96])
        return Overview(name, counts)
