"""What stands without a server: rows, blobs, keys, the hub, buckets, jobs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from craton.access.keys import Keys, NewKey
from craton.access.root import ensure_root, load_master
from craton.access.tenants import DEFAULT_TENANT
from craton.access.vault import Vault
from craton.app.blobs import limits, open_store
from craton.app.config import Home, Settings, load_settings
from craton.buckets.buckets import Buckets
from craton.hub.catalog import Catalog
from craton.hub.collaboration.listening import listeners
from craton.hub.keeping.quotas import Quotas
from craton.hub.keeping.scans import SecurityScans
from craton.hub.models import Models
from craton.hub.repositories import Hub
from craton.hub.shelf import Shelf
from craton.hub.xet.blobs import ChunkedBlobs
from craton.jobs.queue import Jobs
from craton.serve.history import History
from craton.store.blobs import Blobs, BlobStore
from craton.store.database import Database
from craton.store.migrations import upgrade


@dataclass(frozen=True, slots=True)
class Platform:
    """What stands without a server: rows, blobs, keys, the hub. The command line works on it directly.

    store: of the bytes; blobs: the same, with files that are kept as chunks alone."""

    home: Home
    settings: Settings
    database: Database
    store: BlobStore
    blobs: Blobs
    keys: Keys
    vault: Vault
    hub: Hub
    shelf: Shelf
    scans: SecurityScans
    catalog: Catalog
    history: History
    jobs: Jobs
    buckets: Buckets
    new_root: NewKey | None

    def close(self) -> None:
        self.database.close()


def open_platform(home: Home) -> Platform:
    """Opens CRATON_HOME, making and migrating what is missing. Raises InvalidRequest for a bad config.toml."""
    home.create()
    settings = load_settings(home.config)
    database = Database(settings.server.database) if settings.server.database else Database.at(home.database)
    upgrade(database)
    master = load_master(home.path)
    keys = Keys(database, master)
    vault = Vault(database, master)
    store = open_store(home, settings.blobs, lambda name: vault.get(DEFAULT_TENANT, name))
    blobs = ChunkedBlobs(store, database)
    shelf = Shelf(database, blobs)
    scans = SecurityScans(database, time.time)
    Quotas(database).configure(limits(settings.quotas))
    hub = Hub(database, blobs, time.time, (shelf.hear, scans.hear, *listeners(time.time)))
    return Platform(
        home=home,
        settings=settings,
        database=database,
        store=store,
        blobs=blobs,
        keys=keys,
        vault=vault,
        hub=hub,
        shelf=shelf,
        scans=scans,
        catalog=Catalog(Models(hub)),
        history=History(database),
        jobs=Jobs(database, time.time, lambda: secrets.token_hex(8)),  # short: people type them
        buckets=Buckets(database, home.path, lambda name: vault.get(DEFAULT_TENANT, name)),
        new_root=ensure_root(home.path, keys),
    )


def request_ids() -> Callable[[], str]:
    """Makes ids of 32 hex digits: unique across processes and restarts by their first half, told apart by the rest."""
    prefix, numbers = os.urandom(8).hex(), count(1)
    return lambda: f"{prefix}{next(numbers):016x}"
