"""Branches and tags: names for revisions."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, NotFound
from craton.hub.names import check_ref, is_ref
from craton.hub.tables import refs

RefKind = Literal["branch", "tag"]


class Ref(Struct, frozen=True):
    kind: RefKind
    name: str
    revision: str


class Refs:
    """The refs of one repository, inside one transaction."""

    def __init__(self, connection: Connection, tenant: str, repository: str) -> None:
        self._connection, self._tenant, self._repository = connection, tenant, repository

    def all(self) -> list[Ref]:
        rows = self._connection.execute(
            select(refs.c.kind, refs.c.name, refs.c.revision).where(self._mine()).order_by(refs.c.kind, refs.c.name)
        )
        return [Ref(*row) for row in rows]

    def get(self, kind: RefKind, name: str) -> str | None:
        """The revision, or None."""
        if not is_ref(name):
            return None
        return self._connection.scalar(select(refs.c.revision).where(self._named(kind, name)))

    def create(self, kind: RefKind, name: str, revision: str) -> None:
        """Raises Conflict when the name is taken."""
        check_ref(name)
        if self.get(kind, name) is not None:
            raise Conflict(kind, name, "it exists already")
        self._connection.execute(
            insert(refs).values(
                tenant=self._tenant, repository=self._repository, kind=kind, name=name, revision=revision
            )
        )

    def move(self, kind: RefKind, name: str, revision: str) -> None:
        self._connection.execute(update(refs).where(self._named(kind, name)).values(revision=revision))

    def delete(self, kind: RefKind, name: str) -> None:
        """Raises NotFound."""
        if self.get(kind, name) is None:
            raise NotFound(kind, name)
        self._connection.execute(delete(refs).where(self._named(kind, name)))

    def _mine(self) -> ColumnElement[bool]:
        return and_(refs.c.tenant == self._tenant, refs.c.repository == self._repository)

    def _named(self, kind: RefKind, name: str) -> ColumnElement[bool]:
        return and_(self._mine(), refs.c.kind == kind, refs.c.name == name)
