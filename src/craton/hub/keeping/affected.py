"""Which files of which repositories hold given blobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct
from sqlalchemy import Connection, select, tuple_

from craton.core.repo import RepoId, TreeEntry
from craton.hub import rows, trees
from craton.hub.refs import Refs
from craton.hub.tables import objects, repositories, stored
from craton.hub.walking import walk
from craton.store.database import Database

BATCH = 200


class Affected(Struct, frozen=True):
    """ref: in full, "refs/heads/main"; "" when only older commits have the file (path is its name without folders)."""

    digest: str
    tenant: str
    repo: RepoId
    ref: str
    path: str


def affected(database: Database, digests: Iterable[str], limit: int = 1000) -> list[Affected]:
    """The first of them; all tenants'. Reads every tree of the tenants that have these blobs."""
    wanted = frozenset(digests)
    if not wanted:
        return []
    with database.read() as connection:
        return [*islice(_affected(connection, wanted), limit)]


def _affected(connection: Connection, wanted: frozenset[str]) -> Iterator[Affected]:
    for tenant in connection.scalars(select(stored.c.tenant).where(stored.c.digest.in_(wanted)).distinct()).all():
        for repository, names in _repositories(connection, tenant, wanted).items():
            row = connection.execute(
                select(repositories).where(repositories.c.tenant == tenant, repositories.c.id == repository)
            ).one()
            repo, found = RepoId(row.kind, row.namespace, row.name), set()
            fetch = rows.fetcher(connection, tenant, repository)
            for ref in Refs(connection, tenant, repository).all():
                root = rows.find_revision(connection, tenant, repository, ref.revision).tree
                for item in walk(root, fetch, recursive=True):
                    if isinstance(item, TreeEntry) and item.digest in wanted:
                        found.add(item.digest)
                        yield Affected(item.digest, tenant, repo, ref.full, item.path)
            for digest, name in names.items():
                if digest not in found:
                    yield Affected(digest, tenant, repo, "", name)


def _repositories(connection: Connection, tenant: str, wanted: frozenset[str]) -> dict[str, dict[str, str]]:
    """Repository -> digest -> a name under which it stands there."""
    result: dict[str, dict[str, str]] = {}
    table, key = objects.c, ("", "")
    order = (table.repository, table.digest)
    while True:
        query = select(*order, table.content).where(table.tenant == tenant, tuple_(*order) > key)
        found = connection.execute(query.order_by(*order).limit(BATCH)).all()
        for row in found:
            if wanted.intersection(trees.named(row.content)):
                names = {node.digest.hex(): node.name for node in trees.read_page(row.content)}
                result.setdefault(row.repository, {}).update((it, names[it]) for it in wanted & names.keys())
        if len(found) < BATCH:
            return result
        key = (found[-1].repository, found[-1].digest)
