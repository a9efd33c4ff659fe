"""A hub with everything that keeps its bytes, and a clock that can be moved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from craton.core.repo import Add, Operation, RepoId, Revision
from craton.hub.keeping.collecting import Collected, Collector
from craton.hub.keeping.quotas import Quotas
from craton.hub.repositories import HEAD, Hub
from craton.hub.xet.blobs import ChunkedBlobs
from craton.hub.xet.store import XetStore
from craton.store.blobs import BlobStore
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.migrated import upgrade

HOUR = 3600.0
REPO = RepoId("model", "acme", "bert")


class World:
    """age: makes everything that is stored older; so no test waits."""

    def __init__(self, database: Database, folder: Path, store: BlobStore | None = None) -> None:
        upgrade(database)
        self.database, self.folder = database, folder
        self.store = store or FolderBlobs(folder)
        self.blobs = ChunkedBlobs(self.store, database)
        self.now = 0.0
        self.hub = Hub(database, self.blobs, self.clock)
        self.xet = XetStore(database, self.blobs, self.clock)
        self.quotas = Quotas(database)
        self.named: list[str] = []

    def clock(self) -> float:
        import time

        return time.time() + self.now

    def add(self, tenant: str, content: bytes, path: str, repo: RepoId = REPO) -> str:
        """Commits a file; its digest."""
        stored = self.hub.store(tenant, [content], len(content))
        self.commit(tenant, [Add(path, stored.digest, stored.size)], repo)
        return stored.digest

    def commit(self, tenant: str, operations: list[Operation], repo: RepoId = REPO) -> Revision:
        return self.hub.commit(tenant, repo, "main", HEAD, operations, "a commit", tenant)

    def collect(self, grace: float = 24 * HOUR) -> Collected:
        return Collector(self.database, self.store, [lambda: iter(self.named)], self.clock, grace).collect()

    def damage(self, digest: str) -> None:
        path = self.folder / digest[:2] / digest[2:]
        os.chmod(path, 0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path / "blobs")
