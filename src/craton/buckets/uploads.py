"""Objects that come in parts: the parts are files of their own until the upload is completed or aborted."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, select, true

from craton.buckets import tables
from craton.buckets.digests import Digests
from craton.buckets.streams import BLOCK, Writer, fill, storing
from craton.buckets.threads import settled
from craton.buckets.values import Headers, as_json
from craton.core.errors import Damaged, InvalidRequest, NotFound
from craton.store.database import Database
from craton.store.files import Files

MAX_PARTS = 10_000
EXPIRES_AFTER = 7 * 86_400.0  # seconds without a new part, until an upload that nobody completes is ended


class Intent(Struct, frozen=True):
    """What the object will have beside its bytes. algorithm: of its checksums, "" for none; full: over all its bytes,
    rather than over the parts' checksums."""

    headers: Headers = Headers()
    algorithm: str = ""
    full: bool = False


class Upload(Struct, frozen=True):
    """created: seconds since the epoch."""

    id: str
    bucket: str
    key: str
    created: float
    intent: Intent = Intent()


class Part(Struct, frozen=True):
    """etag: the MD5 of its bytes. modified: seconds since the epoch."""

    number: int
    size: int
    etag: str
    modified: float
    file: str
    checksums: dict[str, str] = {}


class Uploads:
    """folder: where the parts lie. clock: seconds since the epoch."""

    def __init__(self, database: Database, folder: Path, files: Files, clock: Callable[[], float]) -> None:
        self._database, self._folder, self._files, self._clock = database, folder, files, clock

    async def create(self, tenant: str, bucket: str, key: str, intent: Intent) -> Upload:
        upload = Upload(token_hex(24), bucket, key, self._clock(), intent)
        await settled(self._insert, tenant, upload)
        return upload

    async def get(self, tenant: str, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NotFound."""
        return await settled(self._get, tenant, bucket, key, upload_id)

    async def of_bucket(self, tenant: str, bucket: str) -> list[Upload]:
        """By key, then by age."""
        return await settled(self._list, tenant, bucket)

    async def parts(self, tenant: str, upload: Upload) -> list[Part]:
        """By number."""
        return await settled(self._parts, tenant, upload)

    async def put(
        self,
        tenant: str,
        upload: Upload,
        number: int,
        blocks: AsyncIterator[bytes],
        check: Callable[[Digests], dict[str, str]],
        algorithms: tuple[str, ...] = (),
    ) -> Part:
        """Stores a part; one of the same number is replaced. Durable when this returns.

        check: gives the checksums to keep, once the bytes are through. Raises InvalidRequest for a bad number, NotFound
        when the upload ended meanwhile, and what `blocks` and `check` raise.
        """
        if not 1 <= number <= MAX_PARTS:
            raise InvalidRequest(f"must be from 1 to {MAX_PARTS:,}", "partNumber")
        writer = await settled(Writer, self._files, self._place(upload), Digests(algorithms))
        try:
            await fill(writer, blocks)
            return await settled(self._commit, tenant, upload, number, writer, check)
        finally:
            await settled(writer.discard)

    async def read(self, upload: Upload, parts: Sequence[Part]) -> AsyncIterator[bytes]:
        """The bytes of these parts, one after the other. Raises NotFound when the upload ended meanwhile."""
        for part in parts:
            handle = await settled(self._open, upload, part)
            try:
                position = 0
                while position < part.size:
                    data = await settled(os.pread, handle, BLOCK, position)
                    if not data:
                        raise Damaged(f"Part {part.number}", "its file is shorter than what was stored.")
                    position += len(data)
                    yield data
            finally:
                os.close(handle)

    async def end(self, tenant: str, upload: Upload) -> None:
        """Forgets the upload with its parts: it was completed, or aborted. Raises NotFound when it ended already."""
        await settled(self._end, tenant, upload)

    def forget_bucket(self, connection: Connection, tenant: str, bucket: str) -> None:
        """Ends all uploads to a bucket, in the caller's transaction. Blocking."""
        mine = (tables.uploads.c.tenant == tenant) & (tables.uploads.c.bucket == bucket)
        for row in connection.execute(select(tables.uploads).where(mine)).all():
            self._forget(connection, tenant, _upload(row))

    def sweep(self, before: float) -> None:
        """Ends uploads that expired, and removes the parts of uploads that are no more. Blocking.

        before: seconds since the epoch; folders of parts that were touched later stay.
        """
        with self._database.write() as connection:
            self._forget_expired(connection, true())
            known = frozenset(connection.execute(select(tables.uploads.c.id)).scalars())
        with suppress(OSError):
            for folder in self._folder.iterdir():
                with suppress(OSError):
                    if folder.name not in known and folder.stat().st_mtime < before:
                        shutil.rmtree(folder, ignore_errors=True)

    # --- in threads -----------------------------------------------------------------------------------------

    def _place(self, upload: Upload) -> Path:
        return self._folder / upload.id

    def _insert(self, tenant: str, upload: Upload) -> None:
        row = {"tenant": tenant, "bucket": upload.bucket, "id": upload.id, "key": upload.key}
        mine = (tables.uploads.c.tenant == tenant) & (tables.uploads.c.bucket == upload.bucket)
        with self._database.write() as connection:
            self._forget_expired(connection, mine)
            values = {**row, "created": upload.created, "headers": as_json(upload.intent)}
            connection.execute(insert(tables.uploads).values(**values))

    def _get(self, tenant: str, bucket: str, key: str, upload_id: str) -> Upload:
        with self._database.read() as connection:
            row = connection.execute(select(tables.uploads).where(_is_upload(tenant, bucket, upload_id))).first()
        if row is None or row.key != key:
            raise NotFound("upload", upload_id[:64])
        return _upload(row)

    def _list(self, tenant: str, bucket: str) -> list[Upload]:
        mine = (tables.uploads.c.tenant == tenant) & (tables.uploads.c.bucket == bucket)
        with self._database.read() as connection:
            rows = connection.execute(select(tables.uploads).where(mine)).all()
        return sorted((_upload(row) for row in rows), key=lambda upload: (upload.key, upload.created, upload.id))

    def _parts(self, tenant: str, upload: Upload) -> list[Part]:
        mine = (tables.parts.c.tenant == tenant) & (tables.parts.c.upload == upload.id)
        with self._database.read() as connection:
            rows = connection.execute(select(tables.parts).where(mine).order_by(tables.parts.c.number)).all()
        return [
            Part(row.number, row.size, row.etag, row.modified, row.file, msgspec.json.decode(row.checksums))
            for row in rows
        ]

    def _commit(
        self, tenant: str, upload: Upload, number: int, writer: Writer, check: Callable[[Digests], dict[str, str]]
    ) -> Part:
        writer.finish()
        digests = writer.digests
        checksums = check(digests)
        part = Part(number, digests.size, digests.etag, self._clock(), writer.path.name, checksums)
        with storing(upload.key):
            self._files.sync_folder(writer.path.parent)
        mine = (tables.parts.c.tenant == tenant) & (tables.parts.c.upload == upload.id)
        with self._database.write() as connection:
            if connection.execute(select(tables.uploads.c.id).where(_is(tenant, upload))).first() is None:
                raise NotFound("upload", upload.id)
            replaced = select(tables.parts.c.file).where(mine, tables.parts.c.number == number)
            old = connection.execute(replaced).scalar_one_or_none()
            connection.execute(delete(tables.parts).where(mine, tables.parts.c.number == number))
            row = {"number": number, "file": part.file, "size": part.size, "etag": part.etag, "modified": part.modified}
            values = {"tenant": tenant, "upload": upload.id, **row, "checksums": as_json(checksums)}
            connection.execute(insert(tables.parts).values(**values))
        writer.keep()
        if old is not None:
            self._files.unlink(self._place(upload) / old)
        return part

    def _open(self, upload: Upload, part: Part) -> int:
        try:
            return os.open(self._place(upload) / part.file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("upload", upload.id) from None

    def _end(self, tenant: str, upload: Upload) -> None:
        with self._database.write() as connection:
            if connection.execute(select(tables.uploads.c.id).where(_is(tenant, upload))).first() is None:
                raise NotFound("upload", upload.id)
            self._forget(connection, tenant, upload)

    def _forget_expired(self, connection: Connection, which: ColumnElement[bool]) -> None:
        """Those of `which` that were begun, and got their last part, EXPIRES_AFTER ago."""
        before = self._clock() - EXPIRES_AFTER
        uploads, parts = tables.uploads.c, tables.parts.c
        touched = exists().where(parts.tenant == uploads.tenant, parts.upload == uploads.id, parts.modified >= before)
        for row in connection.execute(select(tables.uploads).where(which, uploads.created < before, ~touched)).all():
            self._forget(connection, row.tenant, _upload(row))

    def _forget(self, connection: Connection, tenant: str, upload: Upload) -> None:
        mine = (tables.parts.c.tenant == tenant) & (tables.parts.c.upload == upload.id)
        connection.execute(delete(tables.parts).where(mine))
        connection.execute(delete(tables.uploads).where(_is(tenant, upload)))
        shutil.rmtree(self._place(upload), ignore_errors=True)


def _upload(row: Row[tuple[str, str, str, str, float, str]]) -> Upload:
    return Upload(row.id, row.bucket, row.key, row.created, msgspec.json.decode(row.headers, type=Intent))


def _is_upload(tenant: str, bucket: str, upload_id: str) -> ColumnElement[bool]:
    found = tables.uploads.c
    return (found.tenant == tenant) & (found.bucket == bucket) & (found.id == upload_id)


def _is(tenant: str, upload: Upload) -> ColumnElement[bool]:
    return _is_upload(tenant, upload.bucket, upload.id)
