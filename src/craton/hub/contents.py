"""What a revision holds, a page at a time, and which commit last changed it.

As in `repositories`, the tenant is the owner that `reaching` found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.errors import NotFound
from craton.core.repo import RepoId, Revision, TreeEntry, TreeFolder
from craton.hub import rows, trees
from craton.hub.blame import last_commits
from craton.hub.comparing import Changed, compare
from craton.hub.walking import walk
from craton.store.database import Database

Item = TreeEntry | TreeFolder


class Listing(Struct, frozen=True):
    """revision: the commit that was read. more: there are items behind the last one. commits: of each item's path."""

    revision: str
    items: list[Item]
    more: bool = False
    commits: dict[str, Revision] = {}


class Contents:
    """Blocking, safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        tenant: str,
        repo: RepoId,
        revision: str,
        folder: str = "",
        *,
        recursive: bool = False,
        after: str = "",
        limit: int = 1000,
        commits: bool = False,
    ) -> Listing:
        """At most `limit` items of a folder ("" is the root), those behind the path `after`. Raises NotFound."""
        with self._database.read() as connection:
            repository, found, root = _root(connection, tenant, repo, revision)
            fetch = rows.fetcher(connection, tenant, repository)
            top = trees.find_folder(root, folder, fetch)
            if top is None:
                raise NotFound("folder", folder)
            prefix = f"{folder}/" if folder else ""
            behind = after.removeprefix(prefix).split("/") if after else []
            items = [*islice(walk(top, fetch, prefix=prefix, recursive=recursive, after=behind), limit + 1)]
            more, items = len(items) > limit, items[:limit]
            last = last_commits(connection, tenant, repository, found, items) if commits else {}
        return Listing(found, items, more, last)

    def items(
        self, tenant: str, repo: RepoId, revision: str, paths: Iterable[str], *, commits: bool = False
    ) -> Listing:
        """What stands at these paths; of those where nothing does, nothing is said."""
        with self._database.read() as connection:
            repository, found, root = _root(connection, tenant, repo, revision)
            fetch = trees.cached(rows.fetcher(connection, tenant, repository))
            every = [trees.find(root, path, fetch) for path in paths]
            items = [item for item in every if item is not None]
            last = last_commits(connection, tenant, repository, found, items) if commits else {}
        return Listing(found, items, commits=last)

    def files(self, tenant: str, repo: RepoId, revision: str, limit: int) -> Listing:
        """The first `limit` files, from all folders."""
        with self._database.read() as connection:
            repository, found, root = _root(connection, tenant, repo, revision)
            every = walk(root, rows.fetcher(connection, tenant, repository), recursive=True)
            items: list[Item] = [*islice((item for item in every if isinstance(item, TreeEntry)), limit + 1)]
        return Listing(found, items[:limit], len(items) > limit)

    def history(self, tenant: str, repo: RepoId, revision: str, limit: int) -> Sequence[Revision]:
        """The revision and its ancestors, newest first: at most `limit`."""
        with self._database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            return [commit for commit, _ in islice(rows.chain(connection, tenant, repository, found), limit)]

    def changes(self, tenant: str, repo: RepoId, before: str | None, after: str, limit: int) -> list[Changed]:
        """The files that differ between two revisions; before None: since the parent of `after`."""
        with self._database.read() as connection:
            repository, found, root = _root(connection, tenant, repo, after)
            if before is None:
                before = next(rows.chain(connection, tenant, repository, found))[0].parent
            fetch = rows.fetcher(connection, tenant, repository)
            if before is None:
                every = walk(root, fetch, recursive=True)
                return [*islice((Changed(it.path, None, it) for it in every if isinstance(it, TreeEntry)), limit)]
            _, _, old = _root(connection, tenant, repo, before)
            return [*islice(compare(old, root, fetch), limit)]


def _root(connection: Connection, tenant: str, repo: RepoId, revision: str) -> tuple[str, str, str]:
    """The repository's row, the commit and its root folder's object."""
    repository = rows.find(connection, tenant, repo).id
    found = rows.resolve(connection, tenant, repository, revision)
    return repository, found, rows.find_revision(connection, tenant, repository, found).tree
