"""A database with its tables, a master, and a clock that only tests move."""

from __future__ import annotations

import pytest

from craton.access.keys import Keys
from craton.access.tenants import Tenants
from craton.store.database import Database
from tests.migrated import upgrade

MASTER = bytes(range(32))


class Clock:
    """Seconds since the epoch, as the test sets them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def master() -> bytes:
    return MASTER


@pytest.fixture
def rows(database: Database) -> Database:
    """The database with all tables and the tenants "default" and "other"."""
    upgrade(database)
    tenants = Tenants(database)
    tenants.create("default")
    tenants.create("other")
    return database


@pytest.fixture
def keys(rows: Database, clock: Clock) -> Keys:
    return Keys(rows, MASTER, clock)
