"""The buckets of one installation: by tenant and name, wherever each one lives."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Connection

from craton.buckets import folder
from craton.buckets.digests import Digests
from craton.buckets.folder import FolderStore
from craton.buckets.names import check_key
from craton.buckets.protocol import ObjectStore
from craton.buckets.registry import Registry
from craton.buckets.remote import RemoteStore
from craton.buckets.rows import ObjectRows
from craton.buckets.threads import settled
from craton.buckets.uploads import Uploads
from craton.buckets.values import Bucket, Headers, ObjectInfo, Place, Remote
from craton.core.errors import Conflict, InvalidRequest, SourceFailed
from craton.store.database import Database
from craton.store.files import Files
from craton.store.s3 import connect

if TYPE_CHECKING:
    from obstore.store import S3Store

ABANDONED_AFTER = 6 * 3600.0  # seconds without a write, until a temporary file is swept away
_UPLOADS = ".uploads"  # no tenant's name begins with a dot


class Buckets:
    """home: CRATON_HOME, where buckets that have no other place live (`buckets/TENANT/NAME`).

    credential: the secret of a name in the vault, for remote stores: blocking, raises NotFound.
    Coroutines, but for what says that it blocks. clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        home: Path,
        credential: Callable[[str], str],
        clock: Callable[[], float] = time.time,
        files: Files | None = None,
    ) -> None:
        self._database, self._home, self._credential, self._clock = database, home, credential, clock
        self._files = files or Files()
        self._folder = Path(home).resolve() / "buckets"
        self.registry = Registry(database, clock)
        self.uploads = Uploads(database, self._folder / _UPLOADS, self._files, clock)
        self._remotes: dict[Bucket, ObjectStore] = {}

    # --- the registry ---------------------------------------------------------------------------------------

    def create(self, tenant: str, name: str, place: Place | None = None) -> Bucket:
        """Blocking. A place of its own (an existing folder, a remote store) is the operator's to give: the caller
        has checked that.

        Raises InvalidRequest for a bad name or folder, Conflict when there is such a bucket.
        """
        place = place or Place()
        if place.folder:
            place = Place(str(self._check_folder(Path(place.folder))), region=place.region)
        if place.remote is not None:
            _connect(place.remote, self._secret(place))
        return self.registry.create(tenant, name, place)

    def delete(self, tenant: str, name: str) -> None:
        """Blocking. A bucket of Craton's own must be empty; of one that lives elsewhere, only the name goes.

        Raises NotFound, Conflict (not empty).
        """
        bucket = self.registry.get(tenant, name)

        def clear(connection: Connection) -> None:
            self.uploads.forget_bucket(connection, tenant, name)
            if bucket.is_own:
                root = self._root(bucket)
                if not folder.empty(root):
                    raise Conflict("bucket", name, "it is not empty.")
                folder.remove_folder(root)

        self.registry.delete(tenant, name, clear)
        self._remotes.pop(bucket, None)

    async def get(self, tenant: str, name: str) -> Bucket:
        """Raises NotFound."""
        return await settled(self.registry.get, tenant, name)

    async def store(self, tenant: str, name: str) -> ObjectStore:
        """The objects of a bucket. Raises NotFound; SourceFailed when its registered folder is gone: that there are no
        objects would not be true, and to make it anew would hide what happened."""
        return await settled(self._store, await self.get(tenant, name))

    def _store(self, bucket: Bucket) -> ObjectStore:
        remote = bucket.place.remote
        if remote is None:
            if bucket.place.folder and not Path(bucket.place.folder).is_dir():
                raise SourceFailed(
                    bucket.name, "the folder that was registered for it is gone. Put it back, or register anew."
                )
            rows = ObjectRows(self._database, bucket.tenant, bucket.name)
            return FolderStore(self._root(bucket), rows, self._files)
        if bucket not in self._remotes:
            self._remotes[bucket] = RemoteStore(_connect(remote, self._secret(bucket.place)))
        return self._remotes[bucket]

    def _secret(self, place: Place) -> str:
        credential = place.remote.credential if place.remote else ""
        return self._credential(credential) if credential else ""

    def _root(self, bucket: Bucket) -> Path:
        return Path(bucket.place.folder) if bucket.place.folder else self._folder / bucket.tenant / bucket.name

    def _check_folder(self, path: Path) -> Path:
        """Without links, so that every later path can be held against it."""
        resolved, home = path.expanduser().resolve(), self._home.resolve()
        if not resolved.is_dir():
            raise InvalidRequest("there is no such folder", "folder")
        if resolved == home or home in resolved.parents or resolved in home.parents:
            raise InvalidRequest("must lie apart from CRATON_HOME, whose keys would be objects", "folder")
        return resolved

    def sweep(self) -> None:
        """Blocking. Removes what writers that were killed left behind, and ends uploads that nobody completes."""
        before = self._clock() - ABANDONED_AFTER
        for bucket in self.registry.everyones():
            if bucket.place.remote is None:
                folder.sweep(self._root(bucket), before)
        self.uploads.sweep(before)

    # --- for those who only read ----------------------------------------------------------------------------

    async def list(self, tenant: str, bucket: str, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """All objects whose key begins with the prefix, by key. Raises NotFound."""
        async for info in (await self.store(tenant, bucket)).objects(prefix):
            yield info

    async def read(self, tenant: str, bucket: str, key: str) -> AsyncIterator[bytes]:
        """The object's bytes, of one moment. Raises NotFound."""
        opened = await (await self.store(tenant, bucket)).open(check_key(key))
        async for data in opened.body:
            yield data

    async def stat(self, tenant: str, bucket: str, key: str) -> ObjectInfo:
        """Raises NotFound."""
        return (await (await self.store(tenant, bucket)).stat(check_key(key))).info

    async def write(
        self, tenant: str, bucket: str, key: str, blocks: AsyncIterator[bytes], content_type: str = ""
    ) -> ObjectInfo:
        """Replaces the object; durable when this returns. Raises NotFound."""
        store = await self.store(tenant, bucket)
        stored = await store.put(check_key(key), blocks, PlainDraft(Headers(content_type=content_type)))
        return stored.info


class PlainDraft(Struct, frozen=True):
    """A write that promises nothing about its bytes."""

    headers: Headers = Headers()

    def finish(self, digests: Digests) -> tuple[str, Headers]:
        return digests.etag, self.headers


def _connect(remote: Remote, secret: str) -> S3Store:
    """Raises InvalidRequest."""
    return connect(remote.bucket, remote.endpoint, remote.region, secret)
