"""The queries of the hub. Every one has the tenant in its condition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, literal, select, update

from craton.core.errors import NotFound
from craton.core.repo import RepoId, Revision, TreeEntry
from craton.hub import trees
from craton.hub.files import touch_files
from craton.hub.names import is_commit_id, is_repo, is_short_id
from craton.hub.refs import Refs, parse_ref
from craton.hub.tables import objects, repositories, revisions

_BATCH = 500  # values in one SQL statement
_REVISION = (revisions.c.id, revisions.c.parent, revisions.c.message, revisions.c.author, revisions.c.created)


def find(connection: Connection, tenant: str, repo: RepoId, *, lock: bool = False) -> Row[Any, Any, Any, Any, Any]:
    """The repository's row. lock: writers of one repository wait for each other (SQLite has one writer anyway)."""
    table = repositories.c
    query = select(table.id, table.created, table.modified, table.private, table.gated).where(
        table.tenant == tenant, table.kind == repo.kind, table.namespace == repo.namespace, table.name == repo.name
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none() if is_repo(repo) else None
    if row is None:
        raise NotFound("repository", repo.path)
    return row


def resolve(connection: Connection, tenant: str, repository: str, revision: str) -> str:
    """The commit id that a ref, in short or in full, or an id or the beginning of one stands for. Raises NotFound."""
    known = Refs(connection, tenant, repository)
    found: str | None
    if is_commit_id(revision):
        found = find_revision(connection, tenant, repository, revision).id
    elif revision.startswith("refs/"):
        found = known.get(*parse_ref(revision))
    else:
        found = known.get("branch", revision) or known.get("tag", revision)
        if found is None and is_short_id(revision):
            found = _completed(connection, tenant, repository, revision)
    if found is None:
        raise NotFound("revision", revision)
    return found


def _completed(connection: Connection, tenant: str, repository: str, beginning: str) -> str | None:
    """The one commit whose id begins so; None when there is none, or more than one."""
    table = revisions.c
    between = table.id.between(beginning, beginning + "f" * (40 - len(beginning)))
    query = select(table.id).where(table.tenant == tenant, table.repository == repository, between).limit(2)
    found = connection.scalars(query).all()
    return found[0] if len(found) == 1 else None


def find_revision(connection: Connection, tenant: str, repository: str, revision: str) -> Row[str, str, float]:
    """id, tree and created of a commit. Raises NotFound."""
    table = revisions.c
    row = connection.execute(
        select(table.id, table.tree, table.created).where(
            table.tenant == tenant, table.repository == repository, table.id == revision
        )
    ).one_or_none()
    if row is None:
        raise NotFound("revision", revision)
    return row


def ancestors(
    connection: Connection, tenant: str, repository: str, revision: str, offset: int, limit: int
) -> list[Revision]:
    fields = _REVISION
    mine = select(*fields).where(revisions.c.tenant == tenant, revisions.c.repository == repository)
    walk = mine.add_columns(literal(0).label("depth")).where(revisions.c.id == revision).cte("walk", recursive=True)
    walk = walk.union_all(mine.add_columns(walk.c.depth + 1).where(revisions.c.id == walk.c.parent))
    rows = connection.execute(
        select(*(walk.c[field.name] for field in fields)).order_by(walk.c.depth).offset(offset).limit(limit)
    )
    return [Revision(*row) for row in rows]


def chain(connection: Connection, tenant: str, repository: str, revision: str) -> Iterator[tuple[Revision, str]]:
    """The revision and its ancestors, newest first, each with its root folder's object, as they are asked for."""
    fields = (*_REVISION, revisions.c.tree)
    mine = select(*fields).where(revisions.c.tenant == tenant, revisions.c.repository == repository)
    at: str | None = revision
    length = 8
    while at is not None:
        walk = mine.add_columns(literal(1).label("depth")).where(revisions.c.id == at).cte("walk", recursive=True)
        inner = mine.add_columns(walk.c.depth + 1).where(revisions.c.id == walk.c.parent, walk.c.depth < length)
        walk = walk.union_all(inner)
        query = select(*(walk.c[field.name] for field in fields)).order_by(walk.c.depth)
        found = [(Revision(*row[:-1]), row[-1]) for row in connection.execute(query)]
        yield from found
        at = found[-1][0].parent if found else None
        length = 256


def fetcher(connection: Connection, tenant: str, repository: str) -> trees.Fetch:
    def fetch(digests: Iterable[str]) -> Mapping[str, bytes]:
        wanted, found = list(digests), {}
        for start in range(0, len(wanted), _BATCH):
            rows = connection.execute(
                select(objects.c.digest, objects.c.content).where(
                    objects.c.tenant == tenant,
                    objects.c.repository == repository,
                    objects.c.digest.in_(wanted[start : start + _BATCH]),
                )
            )
            found.update({row.digest: row.content for row in rows})
        return found

    return fetch


def load_tree(connection: Connection, tenant: str, repository: str, revision: str) -> dict[str, TreeEntry]:
    root = find_revision(connection, tenant, repository, revision).tree
    return trees.load(root, fetcher(connection, tenant, repository))


def insert_objects(
    connection: Connection,
    tenant: str,
    repository: str,
    new: Mapping[str, bytes],
    clock: Callable[[], float] = time.time,
) -> None:
    """What they name counts as used from now on: a collection that has begun may not see them any more."""
    touch_files(connection, tenant, {digest for content in new.values() for digest in trees.named(content)}, clock())
    known: set[str] = set()
    digests = list(new)
    for start in range(0, len(digests), _BATCH):
        known.update(
            connection.scalars(
                select(objects.c.digest).where(
                    objects.c.tenant == tenant,
                    objects.c.repository == repository,
                    objects.c.digest.in_(digests[start : start + _BATCH]),
                )
            )
        )
    rows = [
        {"tenant": tenant, "repository": repository, "digest": digest, "content": content}
        for digest, content in new.items()
        if digest not in known
    ]
    if rows:
        connection.execute(insert(objects), rows)


def touch(connection: Connection, tenant: str, repository: str, modified: float) -> None:
    """Notes that the repository was changed."""
    mine = (repositories.c.tenant == tenant) & (repositories.c.id == repository)
    connection.execute(update(repositories).where(mine).values(modified=modified))


def insert_revision(connection: Connection, tenant: str, repository: str, tree: str, revision: Revision) -> None:
    """The same commit may stand there already: made on another branch, in the same second."""
    table = revisions.c
    known = connection.scalar(
        select(table.id).where(table.tenant == tenant, table.repository == repository, table.id == revision.id)
    )
    if known is None:
        connection.execute(
            insert(revisions).values(
                tenant=tenant,
                repository=repository,
                id=revision.id,
                parent=revision.parent,
                tree=tree,
                message=revision.message,
                author=revision.author,
                created=revision.created,
            )
        )
