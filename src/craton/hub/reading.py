"""What may be asked of repositories without changing anything."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select

from craton.core.errors import NotFound
from craton.core.repo import Gating, RepoId, RepoKind, Revision, TreeEntry
from craton.hub import rows, trees
from craton.hub.purging import LargeFile, large_files
from craton.hub.refs import Ref, Refs
from craton.hub.tables import repositories
from craton.store.database import Database


class Repository(Struct, frozen=True):
    """created, modified (by its last commit): seconds since the epoch. id: of its row, the same for its whole life."""

    repo: RepoId
    created: float
    id: str = ""
    modified: float = 0.0
    private: bool = True
    gated: Gating = ""


class HubReader:
    """Every method takes the tenant first and sees nothing of any other. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, tenant: str, repo: RepoId) -> Repository:
        with self.database.read() as connection:
            row = rows.find(connection, tenant, repo)
            return Repository(repo, row.created, row.id, row.modified, row.private, row.gated)

    def repositories(self, tenant: str, kind: RepoKind | None = None) -> list[Repository]:
        """Sorted by kind, namespace and name."""
        table = repositories.c
        query = select(repositories).where(table.tenant == tenant)
        if kind is not None:
            query = query.where(table.kind == kind)
        with self.database.read() as connection:
            found = connection.execute(query.order_by(table.kind, table.namespace, table.name))
            return [
                Repository(
                    RepoId(row.kind, row.namespace, row.name), row.created, row.id, row.modified, row.private, row.gated
                )
                for row in found
            ]

    def namespaces(self, tenant: str) -> list[str]:
        """Those in which the tenant has repositories."""
        query = select(repositories.c.namespace).where(repositories.c.tenant == tenant).distinct()
        with self.database.read() as connection:
            return sorted(connection.scalars(query))

    def refs(self, tenant: str, repo: RepoId) -> list[Ref]:
        with self.database.read() as connection:
            return Refs(connection, tenant, rows.find(connection, tenant, repo).id).all()

    def resolve(self, tenant: str, repo: RepoId, revision: str = "main") -> str:
        """The commit id that a ref (a branch comes before a tag), an id or the beginning of one stands for."""
        with self.database.read() as connection:
            return rows.resolve(connection, tenant, rows.find(connection, tenant, repo).id, revision)

    def tree(self, tenant: str, repo: RepoId, revision: str = "main") -> list[TreeEntry]:
        """Every file of the revision, sorted by path. `contents.Contents` lists page by page."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            return [*rows.load_tree(connection, tenant, repository, found).values()]

    def entry(self, tenant: str, repo: RepoId, revision: str, path: str) -> TreeEntry:
        """One file. Raises NotFound, also when the path is a folder."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            root = rows.find_revision(connection, tenant, repository, found).tree
            entry = trees.find(root, path, rows.fetcher(connection, tenant, repository))
        if not isinstance(entry, TreeEntry):
            raise NotFound("file", path)
        return entry

    def history(
        self, tenant: str, repo: RepoId, revision: str = "main", *, offset: int = 0, limit: int = 100
    ) -> list[Revision]:
        """The revision and its ancestors, newest first."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            return rows.ancestors(connection, tenant, repository, found, offset, limit)

    def large_files(self, tenant: str, repo: RepoId) -> list[LargeFile]:
        """Those of the whole history, each once."""
        with self.database.read() as connection:
            return large_files(connection, tenant, rows.find(connection, tenant, repo).id)
