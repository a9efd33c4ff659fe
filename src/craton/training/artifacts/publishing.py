"""A folder becomes a revision of a model's repository."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from craton.core.errors import Conflict, NotFound
from craton.core.repo import Add, Delete, Operation, RepoId
from craton.hub.repositories import HEAD, Hub

_BLOCK = 1 << 20
_KEPT = frozenset({".gitattributes"})
_TEXTS = frozenset({".json", ".md", ".txt", ".yaml"})
"""Kept as they are; all others are large files, of which git's trees hold pointers (Git LFS)."""


def publish(
    hub: Hub, tenant: str, author: str, repo: RepoId, branch: str, folder: Path, run: str, *, private: bool
) -> str:
    """The branch holds exactly these files then. Returns the revision.

    A run that was killed between its commit and its end finds its own commit, and makes no second one. private: of a
    repository that is made now. Raises StorageFull, QuotaExceeded; Stale when others keep committing.
    """
    message = f"Trained by run {run}"
    with suppress(Conflict):
        hub.create(tenant, repo, private=private)
    with suppress(NotFound):
        for revision in hub.history(tenant, repo, branch, limit=20):
            if revision.message == message:
                return revision.id
    added = [*_stored(hub, tenant, folder)]
    gone = _before(hub, tenant, repo, branch, {entry.path for entry in added})
    operations: list[Operation] = [*(Delete(path) for path in gone), *added]
    return hub.commit(tenant, repo, branch, HEAD, operations, message, author).id


def _before(hub: Hub, tenant: str, repo: RepoId, branch: str, now: set[str]) -> list[str]:
    """What the branch holds that the folder does not."""
    try:
        return [entry.path for entry in hub.tree(tenant, repo, branch) if entry.path not in now | _KEPT]
    except NotFound:
        return []


def _stored(hub: Hub, tenant: str, folder: Path) -> Iterator[Add]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name, size = path.relative_to(folder).as_posix(), path.stat().st_size
            stored = hub.store(tenant, _blocks(path), size)
            yield Add(name, stored.digest, size, large=path.suffix not in _TEXTS)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
