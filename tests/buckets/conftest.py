"""Buckets on an empty database and an empty home."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from craton.buckets.buckets import Buckets
from craton.core.errors import NotFound
from craton.store.database import Database
from tests.migrated import upgrade


def no_credential(name: str) -> str:
    raise NotFound("credential", name)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def buckets(database: Database, home: Path) -> Buckets:
    upgrade(database)
    made = Buckets(database, home, no_credential)
    made.create("red", "docs")
    return made


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(buckets: Buckets, key: str, bucket: str = "docs", tenant: str = "red") -> bytes:
    return b"".join([data async for data in buckets.read(tenant, bucket, key)])
