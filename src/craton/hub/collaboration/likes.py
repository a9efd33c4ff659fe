"""Likes: who likes which repository. Names and repositories are shown only where both may be seen."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.sql.elements import ColumnElement

from craton.core.access import SHARED_TENANT
from craton.core.repo import RepoId
from craton.hub.changes import Place
from craton.hub.collaboration.rows import check_there
from craton.hub.collaboration.tables import likes
from craton.hub.reaching import Reached
from craton.hub.tables import repositories
from craton.store.database import Database


class Like(Struct, frozen=True):
    repo: RepoId
    created: float


class Likes:
    """Blocking, safe in threads. `who` and users are tenants."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def like(self, who: str, reached: Reached) -> None:
        """Liking again is harmless."""
        with self._database.write() as connection:
            check_there(connection, Place.of(reached))
            if connection.scalar(select(likes.c.user).where(_of(reached), likes.c.user == who)) is None:
                connection.execute(
                    insert(likes).values(tenant=reached.owner, repository=reached.id, user=who, created=self._clock())
                )

    def unlike(self, who: str, reached: Reached) -> None:
        """Harmless when it was not liked."""
        with self._database.write() as connection:
            connection.execute(delete(likes).where(_of(reached), likes.c.user == who))

    def count(self, reached: Reached) -> int:
        with self._database.read() as connection:
            return connection.scalar(select(func.count()).select_from(likes).where(_of(reached))) or 0

    def likers(self, reached: Reached, after: str, limit: int) -> list[str]:
        """Users by name, those behind `after`."""
        query = select(likes.c.user).where(_of(reached), likes.c.user > after).order_by(likes.c.user).limit(limit)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def liked(self, viewer: str, user: str, offset: int, limit: int) -> list[Like]:
        """What the user likes and the viewer may see, newest first."""
        table = repositories.c
        query = (
            select(table.kind, table.namespace, table.name, likes.c.created)
            .join_from(likes, repositories, (table.tenant == likes.c.tenant) & (table.id == likes.c.repository))
            .where(likes.c.user == user, visible(viewer))
            .order_by(likes.c.created.desc(), table.id)
            .offset(offset)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Like(RepoId(row.kind, row.namespace, row.name), row.created) for row in connection.execute(query)]


def visible(viewer: str) -> ColumnElement[bool]:
    """The repositories that a tenant may see, as `reaching` says it of one."""
    table = repositories.c
    return or_(table.tenant == viewer, table.private.is_(False), table.tenant == SHARED_TENANT)


def _of(reached: Reached) -> ColumnElement[bool]:
    return (likes.c.tenant == reached.owner) & (likes.c.repository == reached.id)
