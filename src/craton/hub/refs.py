"""Branches, tags, pull requests' branches and converted copies: names for revisions.

In full, as git has them: refs/heads/main, refs/tags/v1, refs/pr/3, refs/convert/parquet.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.hub.names import check_ref, is_pull, is_ref
from craton.hub.tables import refs

RefKind = Literal["branch", "tag", "pr", "convert"]
PREFIXES: dict[RefKind, str] = {
    "branch": "refs/heads/",
    "tag": "refs/tags/",
    "pr": "refs/pr/",
    "convert": "refs/convert/",
}


class Ref(Struct, frozen=True):
    kind: RefKind
    name: str
    revision: str

    @property
    def full(self) -> str:
        return PREFIXES[self.kind] + self.name


def parse_ref(text: str) -> tuple[RefKind, str]:
    """Kind and name of "refs/pr/3"; what has no prefix is a branch."""
    for kind, prefix in PREFIXES.items():
        if text.startswith(prefix):
            return kind, text.removeprefix(prefix)
    return "branch", text


def full_ref(kind: RefKind, name: str) -> str:
    return PREFIXES[kind] + name


def is_name(kind: RefKind, name: str) -> bool:
    """Whether a ref of this kind can have this name at all."""
    return is_pull(name) if kind == "pr" else is_ref(name)


def check_name(kind: RefKind, name: str) -> None:
    """Raises InvalidRequest."""
    if kind != "pr":
        check_ref(name)
    elif not is_pull(name):
        raise InvalidRequest(f"{name[:80]!r} is not the number of a pull request", "revision")


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
        if not is_name(kind, name):
            return None
        return self._connection.scalar(select(refs.c.revision).where(self._named(kind, name)))

    def create(self, kind: RefKind, name: str, revision: str) -> None:
        """Raises Conflict when the name is taken."""
        check_name(kind, name)
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
