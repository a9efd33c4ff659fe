"""From where blobs live, in the operator's words, to the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from craton.core.errors import InvalidRequest, NotFound, StorageFull
from craton.store.blobs.cache import Cache
from craton.store.blobs.folder import FolderBlobs
from craton.store.blobs.protocol import BlobStore
from craton.store.blobs.remote import RemoteBlobs
from craton.store.blobs.replicated import ReplicatedBlobs
from craton.store.s3 import connect

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"


class Location(Struct, frozen=True):
    """url: "s3://bucket/prefix", or a folder. endpoint: of an S3-compatible store that is not Amazon's; credential: the
    name of ACCESS_KEY:SECRET_KEY."""

    url: str
    endpoint: str = ""
    region: str = "us-east-1"
    credential: str = ""

    @property
    def is_remote(self) -> bool:
        return self.url.startswith(SCHEME)

    @property
    def bucket(self) -> str:
        return self.url.removeprefix(SCHEME).partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.url.removeprefix(SCHEME).partition("/")[2].strip("/")


def check_location(location: Location, field: str) -> None:
    """Raises InvalidRequest."""
    if location.is_remote and not location.bucket:
        raise InvalidRequest("it names no bucket: s3://bucket/prefix", f"{field}.url")
    if not location.is_remote and ("://" in location.url or not Path(location.url).is_absolute()):
        raise InvalidRequest("it must be s3://bucket/prefix or an absolute path", f"{field}.url")


def _connect(location: Location, secret: Callable[[str], str]) -> S3Store:
    """Raises StorageFull when the credential is not there: nothing can be stored or read until it is."""
    try:
        key = secret(location.credential) if location.credential else ""
    except NotFound as error:
        name = location.credential
        reason = f"The store of blobs needs the credential {name!r}: set it with `craton keys credential set {name}`."
        raise StorageFull(reason) from error
    return connect(location.bucket, location.endpoint, location.region, key, checksums=True)


def open_blobs(
    first: Location,
    second: Location | None,
    cache: Callable[[], Cache],
    secret: Callable[[str], str],
) -> BlobStore:
    """Asks no store yet. second: where copies are kept. cache: made when a store is remote; secret: gives the
    credential of that name, raises NotFound; asked when it is needed."""

    def one(location: Location) -> BlobStore:
        if not location.is_remote:
            return FolderBlobs(Path(location.url))
        return RemoteBlobs(partial(_connect, location, secret), location.prefix, cache())

    return one(first) if second is None else ReplicatedBlobs(one(first), one(second))
