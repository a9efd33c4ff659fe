"""The store of blobs that the settings name: a folder in CRATON_HOME, or elsewhere, with or without a replica."""

from __future__ import annotations

from collections.abc import Callable

from craton.app.config import BlobSettings, Home, parse_bytes
from craton.store.blobs import BlobStore
from craton.store.blobs.cache import Cache
from craton.store.blobs.opening import Location, open_blobs


def open_store(home: Home, settings: BlobSettings, secret: Callable[[str], str]) -> BlobStore:
    """Asks no store yet. secret: gives the credential of that name. Raises NotFound when there is none."""

    def cache() -> Cache:
        return Cache(home.path / "blobs-cache", parse_bytes(settings.cache, "blobs.cache"))

    first = settings.location if settings.url else Location(str(home.blobs))
    return open_blobs(first, settings.replica, cache, secret)
