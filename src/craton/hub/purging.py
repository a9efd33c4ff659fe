"""Large files of a whole history: which there are, and how to be rid of some for good.

Being rid of a file means other commits: each that held it, and all that came after, is written anew without it. Folders
are looked at once, however many commits share them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, delete

from craton.core.repo import Revision
from craton.hub import rows, trees
from craton.hub.git import commit_id
from craton.hub.refs import Ref, Refs
from craton.hub.tables import revisions
from craton.hub.trees import Fetch, Node, Objects, nodes_of, store_folder

MAX_LARGE = 100_000  # files that are listed


class LargeFile(Struct, frozen=True):
    """path, ref: where it was first seen. pushed: seconds since the epoch."""

    path: str
    digest: str
    size: int
    ref: str
    pushed: float


def large_files(connection: Connection, tenant: str, repository: str) -> list[LargeFile]:
    """Every large file of every ref's history, each once, main's first."""
    fetch = trees.cached(rows.fetcher(connection, tenant, repository))
    found: dict[str, LargeFile] = {}
    looked: set[str] = set()

    def look(folder: str, prefix: str, ref: Ref, commit: Revision) -> None:
        if folder in looked or len(found) >= MAX_LARGE:
            return
        looked.add(folder)
        for node in nodes_of(folder, fetch):
            path, digest = prefix + node.name, node.digest.hex()
            if node.folder:
                look(digest, f"{path}/", ref, commit)
            elif node.large and digest not in found:
                found[digest] = LargeFile(path, digest, node.size, ref.full, commit.created)

    for ref in _main_first(Refs(connection, tenant, repository).all()):
        for commit, root in _oldest_first(connection, tenant, repository, ref):
            look(root, "", ref, commit)
    return list(found.values())


def purge(connection: Connection, tenant: str, repository: str, digests: frozenset[str]) -> dict[str, str]:
    """Writes the history anew without these files; old commit -> new one, for those that changed. Refs are moved."""
    fetch = trees.cached(rows.fetcher(connection, tenant, repository))
    without = _Without(fetch, frozenset(bytes.fromhex(digest) for digest in digests))
    renewed: dict[str, str] = {}
    known = Refs(connection, tenant, repository)
    for ref in known.all():
        for commit, root in _oldest_first(connection, tenant, repository, ref):
            if commit.id in renewed:
                continue
            digest, oid = without.folder(bytes.fromhex(root)) or store_folder([], without.objects)
            parent = None if commit.parent is None else renewed[commit.parent]
            new = commit_id(oid.hex(), parent, commit.author, int(commit.created), commit.message)
            renewed[commit.id] = new
            if new != commit.id:
                rows.insert_objects(connection, tenant, repository, without.objects)
                without.objects.clear()
                rewritten = Revision(new, parent, commit.message, commit.author, commit.created)
                rows.insert_revision(connection, tenant, repository, digest.hex(), rewritten)
        if renewed[ref.revision] != ref.revision:
            known.move(ref.kind, ref.name, renewed[ref.revision])
    changed = {old: new for old, new in renewed.items() if old != new}
    for old in changed:
        mine = (revisions.c.tenant == tenant) & (revisions.c.repository == repository)
        connection.execute(delete(revisions).where(mine, revisions.c.id == old))
    return changed


class _Without:
    """Folders without some files. objects: those that are new."""

    def __init__(self, fetch: Fetch, gone: frozenset[bytes]) -> None:
        self._fetch, self._gone = fetch, gone
        self._known: dict[bytes, tuple[bytes, bytes] | None] = {}
        self.objects: Objects = {}

    def folder(self, digest: bytes) -> tuple[bytes, bytes] | None:
        """Digest and git id of the folder as it is then; None when nothing is left in it."""
        if digest not in self._known:
            self._known[digest] = self._filtered(digest)
        return self._known[digest]

    def _filtered(self, digest: bytes) -> tuple[bytes, bytes] | None:
        old = nodes_of(digest.hex(), self._fetch)
        new = list(self._kept(old))
        if new == old:
            return digest, bytes.fromhex(trees.folder_oid(digest.hex(), self._fetch))
        return store_folder(new, self.objects) if new else None

    def _kept(self, nodes: list[Node]) -> Iterator[Node]:
        for node in nodes:
            if node.folder:
                inner = self.folder(node.digest)
                if inner is not None:
                    yield Node(node.name, *inner, 0, True)
            elif not (node.large and node.digest in self._gone):
                yield node


def _main_first(refs: list[Ref]) -> list[Ref]:
    return sorted(refs, key=lambda ref: (ref.full != "refs/heads/main", ref.full))


def _oldest_first(connection: Connection, tenant: str, repository: str, ref: Ref) -> Iterator[tuple[Revision, str]]:
    return reversed([*rows.chain(connection, tenant, repository, ref.revision)])
