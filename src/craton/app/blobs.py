"""Stored bytes as the settings say: in a folder or elsewhere, with or without a replica; how many a tenant may have."""

from __future__ import annotations

from collections.abc import Callable

from craton.app.config import BlobSettings, Home, QuotaSettings, parse_bytes
from craton.hub.keeping.quotas import EVERYBODY
from craton.store.blobs import BlobStore
from craton.store.blobs.cache import Cache
from craton.store.blobs.opening import Location, open_blobs


def open_store(home: Home, settings: BlobSettings, secret: Callable[[str], str]) -> BlobStore:
    """Asks no store yet. secret: gives the credential of that name, raises NotFound when there is none."""

    def cache() -> Cache:
        return Cache(home.path / "blobs-cache", parse_bytes(settings.cache, "blobs.cache"))

    first = settings.location if settings.url else Location(str(home.blobs))
    return open_blobs(first, settings.replica, cache, secret)


def limits(settings: QuotaSettings) -> dict[str, int]:
    """Tenant ("" for all others) -> bytes."""
    every = {EVERYBODY: settings.default} if settings.default else {}
    return {tenant: parse_bytes(size) for tenant, size in {**every, **settings.tenants}.items()}
