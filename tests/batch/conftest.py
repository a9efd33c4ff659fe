"""A server whose models are echo and, over HTTP, the echo of another one, which counts how often it was asked; that
other one also has the bytes of the bucket "far"."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from craton.access.tenants import DEFAULT_TENANT
from craton.app.config import Home
from craton.app.platform import open_platform
from craton.buckets.values import Place, Remote
from tests.app.knowing import Aws
from tests.batch.workshop import Bench
from tests.servers import ONE_THREAD, RunningServer, serving

AT_ONCE = 4
CONFIG = """
[outgoing]
allow = ["127.0.0.1"]

[jobs]
at_once = 3
attempts = 1000

[echo]
script = "replies.yaml"

[upstreams.counted]
wire = "openai"
base_url = "{url}/v1"
credential = "back"
models = {{ counted = "echo" }}
options = {{ concurrency = 4 }}

[upstreams.vectors]
wire = "openai"
base_url = "{url}/v1"
credential = "back"
models = {{ vectors = "echo" }}
verbs = ["embed"]
"""
SCRIPT = """
rules:
  - when: {contains: please wait}
    delay: {first_ms: 60000}
  - when: {contains: take a moment}
    delay: {first_ms: 20}
  - when: {contains: please fail}
    fault: {after: 0, kind: fail, reason: it was asked to}
  - when: {contains: break in the middle}
    fault: {after: 2, kind: fail, reason: half is enough}
"""


@dataclass(frozen=True)
class Back:
    """The other server. bucket: the bytes of the first one's "far"."""

    server: RunningServer
    bucket: str

    def asked(self) -> int:
        """How many chats came from servers, so far."""
        with closing(sqlite3.connect(self.server.home / "craton.db")) as database:
            count: int = database.execute("SELECT count(*) FROM requests WHERE dialect = 'openai'").fetchone()[0]
        return count


@pytest.fixture(scope="module")
def back(server: RunningServer) -> Back:
    bucket = f"far-{uuid4().hex}"
    Aws(server).s3.create_bucket(Bucket=bucket)
    return Back(server, bucket)


@pytest.fixture(scope="module")
def home(back: Back, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not served yet."""
    folder: Path = tmp_path_factory.mktemp("front") / "home"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(url=back.server.url) + ONE_THREAD)
    (folder / "replies.yaml").write_text(SCRIPT)
    platform = open_platform(Home(folder))
    platform.vault.put(DEFAULT_TENANT, "back", back.server.token)
    platform.vault.put(DEFAULT_TENANT, "pair", f"{back.server.access_key_id}:{back.server.secret_access_key}")
    remote = Remote(back.bucket, back.server.url, credential="pair")
    platform.buckets.create(DEFAULT_TENANT, "far", Place(remote=remote))
    platform.close()
    return folder


@pytest.fixture(scope="module")
def front(home: Path) -> Iterator[RunningServer]:
    with serving(home) as server:
        yield server


@pytest.fixture(scope="module")
def bench(front: RunningServer) -> Bench:
    return Bench(front)
