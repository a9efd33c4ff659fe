"""A server with two tenants, alice and bob, as stock `huggingface_hub` clients know it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from craton.access.tenants import Tenants
from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.access import KeyRole
from craton.core.repo import Add, Gating, Operation, RepoId, Revision
from tests.servers import RunningServer, serving


@dataclass
class Company:
    """platform: the same rows and blobs that the server works on."""

    server: RunningServer
    platform: Platform
    alice: HfApi
    bob: HfApi

    def repo(self, *, private: bool = False, gated: Gating = "", files: dict[str, bytes] | None = None) -> RepoId:
        """A new model of alice's."""
        repo = RepoId("model", "alice", f"model-{secrets.token_hex(4)}")
        first = [self.add("alice", path, content) for path, content in (files or {"README.md": b"hello\n"}).items()]
        self.platform.hub.create("alice", repo, private=private, first=first, author="alice")
        if gated:
            self.platform.hub.configure("alice", repo, gated=gated)
        return repo

    def add(self, tenant: str, path: str, content: bytes) -> Add:
        file = self.platform.hub.store(tenant, [content], len(content))
        return Add(path, file.digest, file.size)

    def commit(self, repo: RepoId, ref: str, *operations: Operation, message: str = "a change") -> Revision:
        return self.platform.hub.commit("alice", repo, ref, "HEAD", operations, message, "alice")


@contextmanager
def company(home: Path, config: str = "") -> Iterator[Company]:
    with serving(home, config=config) as server:
        platform = open_platform(Home(home))
        tokens = {}
        for tenant in ("alice", "bob"):
            Tenants(platform.database).create(tenant)
            tokens[tenant] = platform.keys.create(tenant, tenant, KeyRole.DEVELOPER).token
        yield Company(
            server,
            platform,
            HfApi(endpoint=server.url, token=tokens["alice"]),
            HfApi(endpoint=server.url, token=tokens["bob"]),
        )
        platform.close()
