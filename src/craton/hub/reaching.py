"""Whose repository a name means to a caller, and what the caller may do with it.

A tenant's own repository comes first, then what comes with Craton, then one that is mirrored from an upstream hub, then
one that another tenant shares under that name (`private` is false), then one that was called so before it was moved,
then one whose name differs in the case of its letters alone. What is not there and what another tenant keeps to itself
are the same NotFound. Every query below `Hub` takes the owner that was found here, so no other module asks who may see
what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, case, or_, select

from craton.core.access import SHARED_TENANT
from craton.core.errors import Forbidden, NotFound
from craton.core.repo import Gating, RepoId
from craton.hub.names import is_repo
from craton.hub.tables import fold, moved, repositories
from craton.store.database import Database


class Reached(Struct, frozen=True):
    """owner: the tenant whose it is: what `Hub`'s methods take as tenant. id: of its row. repo: as it is called now.
    own: it is the caller's."""

    owner: str
    id: str
    repo: RepoId
    private: bool
    gated: Gating
    own: bool


Need = Literal["see", "write"]

MIRRORED = "mirror:"
"""The owners of mirrored repositories begin so; no tenant can be called so."""

Mirrors = Callable[[str], Sequence[str]]
"""Tenant -> the owners of mirrored repositories that are not shared with everybody, but with it."""


def no_mirrors(tenant: str) -> Sequence[str]:
    return ()


class Reaching:
    """Blocking, safe in threads."""

    def __init__(self, database: Database, mirrors: Mirrors = no_mirrors) -> None:
        self._database, self._mirrors = database, mirrors

    def reach(self, tenant: str, repo: RepoId, need: Need = "see") -> Reached:
        """need: "see" for whatever a reader may know, "write" for what only the owner may do.

        Raises NotFound; Forbidden when a shared repository of another tenant is to be written.
        """
        row = None
        if is_repo(repo):
            with self._database.read() as connection:
                seen = _visible(tenant, self._mirrors(tenant))
                row = connection.execute(_called(seen, repo)).one_or_none()
                row = row or connection.execute(_once_called(seen, repo)).one_or_none()
                row = row or connection.execute(_alike(seen, repo)).one_or_none()
        if row is None:
            raise NotFound("repository", repo.path)
        found = Reached(
            row.tenant,
            row.id,
            RepoId(repo.kind, row.namespace, row.name),
            row.private,
            row.gated,
            row.tenant == tenant,
        )
        if need == "write" and not found.own:
            raise Forbidden(f"change {repo.path}, which belongs to somebody else")
        return found


def _called(seen: Select[Any], repo: RepoId) -> Select[Any]:
    table = repositories.c
    named = (table.kind == repo.kind) & (table.namespace == repo.namespace) & (table.name == repo.name)
    return seen.where(named).order_by(table.created, table.tenant).limit(1)


def _once_called(seen: Select[Any], repo: RepoId) -> Select[Any]:
    table, old = repositories.c, moved.c
    same = (old.tenant == table.tenant) & (old.repository == table.id)
    named = (old.kind == repo.kind) & (old.namespace == repo.namespace) & (old.name == repo.name)
    return seen.join(moved, same).where(named).order_by(table.created, table.tenant).limit(1)


def _alike(seen: Select[Any], repo: RepoId) -> Select[Any]:
    """Whatever the case of its letters."""
    table = repositories.c
    named = (table.kind == repo.kind) & (table.folded == fold(repo.namespace, repo.name))
    return seen.where(named).order_by(table.created, table.tenant).limit(1)


def _visible(tenant: str, mirrors: Sequence[str]) -> Select[Any]:
    """Those that the tenant may see, in this order."""
    table = repositories.c
    return (
        select(table.tenant, table.id, table.namespace, table.name, table.private, table.gated)
        .where(is_visible(table, tenant, mirrors))
        .order_by(rank(table.tenant, tenant))
    )


def is_visible(columns: Any, tenant: str, mirrors: Sequence[str]) -> ColumnElement[bool]:
    """Whether a repository's row is one that the tenant may see."""
    mine = or_(columns.tenant == tenant, columns.private.is_(False), columns.tenant == SHARED_TENANT)
    return or_(mine, columns.tenant.in_(mirrors)) if mirrors else mine


def rank(owner: ColumnElement[str], tenant: str) -> ColumnElement[int]:
    """Which of several owners' repositories a name means: the least. What comes with Craton, and what an upstream hub
    calls so, comes before what another tenant does: nobody can put a model of his own in the place of a well-known
    one."""
    mirrored = owner.startswith(MIRRORED, autoescape=True)
    return case((owner == tenant, 0), (owner == SHARED_TENANT, 1), (mirrored, 2), else_=3)
