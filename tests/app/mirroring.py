"""Two real servers: an upstream hub, and one that mirrors it for its tenants alice and bob."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi

from craton.access.tenants import DEFAULT_TENANT, Tenants
from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.access import KeyRole
from craton.core.repo import Add, Gating, RepoId, RepoKind
from craton.hub.xet.blobs import ChunkedBlobs
from tests.servers import RunningServer, serving

LARGE = (".gguf", ".safetensors", ".bin", ".parquet")


@dataclass
class Hub:
    """A server with its rows, and a client for each tenant."""

    server: RunningServer
    platform: Platform
    alice: HfApi
    bob: HfApi

    def publish(
        self,
        files: Mapping[str, bytes],
        *,
        kind: RepoKind = "model",
        private: bool = False,
        gated: Gating = "",
        name: str = "",
    ) -> RepoId:
        """A new repository of alice's."""
        repo = RepoId(kind, "acme", name or f"net-{secrets.token_hex(4)}")
        first = [self.add(path, content) for path, content in files.items()]
        self.platform.hub.create("alice", repo, private=private, first=first, author="alice")
        if gated:
            self.platform.hub.configure("alice", repo, gated=gated)
        return repo

    def add(self, path: str, content: bytes) -> Add:
        file = self.platform.hub.store("alice", [content], len(content))
        return Add(path, file.digest, file.size, large=path.endswith(LARGE))

    def change(self, repo: RepoId, files: Mapping[str, bytes]) -> str:
        operations = [self.add(path, content) for path, content in files.items()]
        return self.platform.hub.commit("alice", repo, "main", "HEAD", operations, "a change", "alice").id

    @property
    def blobs(self) -> ChunkedBlobs:
        return self.platform.blobs

    def requests(self, path: str) -> int:
        """How often something was asked for, as the log has it."""
        return self.server.log.read_text().count(path)


@contextmanager
def hub(home: Path, config: str = "") -> Iterator[Hub]:
    with serving(home, "--log-level", "info", "--log-format", "json", config=config) as server:
        yield opened(server)


def opened(server: RunningServer) -> Hub:
    platform = open_platform(Home(server.home))
    clients = []
    for tenant in ("alice", "bob"):
        if tenant not in Tenants(platform.database).list():
            Tenants(platform.database).create(tenant)
        token = platform.keys.create(tenant, tenant, KeyRole.DEVELOPER).token
        clients.append(HfApi(endpoint=server.url, token=token))
    return Hub(server, platform, *clients)


def mirror_of(endpoint: str, *more: str, name: str = "up", allow: str = "*") -> str:
    """Settings of a server that mirrors what is at this address."""
    lines = [f"[hubs.{name}]", f'endpoint = "{endpoint}"', f'allow = ["{allow}"]', "fresh = 0", *more]
    return "\n".join(lines) + "\n"


def trust(here: Hub, token: str, credential: str = "up") -> None:
    """The operator stores a token of the upstream's."""
    here.platform.vault.put(DEFAULT_TENANT, credential, token)
