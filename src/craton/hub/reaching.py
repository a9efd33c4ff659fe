"""Whose repository a name means to a caller, and what the caller may do with it.

A tenant's own repository comes first, then one that another tenant shares under that name (`private` is false), then
one that was called so before it was moved. What is not there and what another tenant keeps to itself are the same
NotFound. Every query below `Hub` takes the owner that was found here, so no other module asks who may see what.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import Select, case, select

from craton.core.access import SHARED_TENANT
from craton.core.errors import Forbidden, NotFound
from craton.core.repo import Gating, RepoId
from craton.hub.names import is_repo
from craton.hub.tables import moved, repositories
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


class Reaching:
    """Blocking, safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reach(self, tenant: str, repo: RepoId, need: Need = "see") -> Reached:
        """need: "see" for whatever a reader may know, "write" for what only the owner may do.

        Raises NotFound; Forbidden when a shared repository of another tenant is to be written.
        """
        row = None
        if is_repo(repo):
            with self._database.read() as connection:
                row = connection.execute(_called(tenant, repo)).one_or_none()
                row = row or connection.execute(_once_called(tenant, repo)).one_or_none()
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
            raise Forbidden(f"change {repo.path}, which belongs to somebody else", "reader")
        return found


def _called(tenant: str, repo: RepoId) -> Select[Any]:
    table = repositories.c
    named = (table.kind == repo.kind) & (table.namespace == repo.namespace) & (table.name == repo.name)
    return _visible(tenant).where(named).order_by(table.created, table.tenant).limit(1)


def _once_called(tenant: str, repo: RepoId) -> Select[Any]:
    table, old = repositories.c, moved.c
    same = (old.tenant == table.tenant) & (old.repository == table.id)
    named = (old.kind == repo.kind) & (old.namespace == repo.namespace) & (old.name == repo.name)
    return _visible(tenant).join(moved, same).where(named).order_by(table.created, table.tenant).limit(1)


def _visible(tenant: str) -> Select[Any]:
    """Those that the tenant may see, its own first."""
    table = repositories.c
    mine = table.tenant == tenant
    return (
        select(table.tenant, table.id, table.namespace, table.name, table.private, table.gated)
        .where(mine | table.private.is_(False) | (table.tenant == SHARED_TENANT))
        .order_by(case((mine, 0), (table.tenant == SHARED_TENANT, 2), else_=1))
    )
