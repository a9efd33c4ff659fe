"""What is kept of the objects in folders: a row counts as long as the file has the size and time that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from craton.buckets import tables
from craton.buckets.values import Headers, ObjectInfo, StoredObject, as_json
from craton.buckets.walking import Found
from craton.store.database import Database

_AT_ONCE = 400  # keys of one query
_objects = tables.objects.c


class ObjectRows:
    """Of one bucket. Blocking."""

    def __init__(self, database: Database, tenant: str, bucket: str) -> None:
        self.database = database
        self._own: dict[str, str] = {"tenant": tenant, "bucket": bucket}

    def describe(self, found: Found) -> StoredObject:
        """The file with what is kept of it."""
        with self.database.read() as connection:
            return self.describe_within(connection, found)

    def describe_within(self, connection: Connection, found: Found) -> StoredObject:
        row = connection.execute(select(tables.objects).where(self._is(found.key))).first()
        if row is None or (row.size, row.modified) != (found.size, found.modified):
            return StoredObject(_info(found, foreign_etag(found)))
        return StoredObject(_info(found, row.etag), msgspec.json.decode(row.headers, type=Headers))

    def infos(self, found: Sequence[Found]) -> list[ObjectInfo]:
        """Many files at once, in their order."""
        etags: dict[tuple[str, int, int], str] = {}
        with self.database.read() as connection:
            for start in range(0, len(found), _AT_ONCE):
                keys = [item.key for item in found[start : start + _AT_ONCE]]
                query = select(_objects.key, _objects.size, _objects.modified, _objects.etag)
                for row in connection.execute(query.where(self._are(), _objects.key.in_(keys))):
                    etags[row.key, row.size, row.modified] = row.etag
        return [_info(item, etags.get((item.key, item.size, item.modified)) or foreign_etag(item)) for item in found]

    def put(self, connection: Connection, found: Found, etag: str, headers: Headers) -> StoredObject:
        self.delete(connection, found.key)
        row = {"key": found.key, "size": found.size, "modified": found.modified, "etag": etag}
        connection.execute(insert(tables.objects).values(**self._own, **row, headers=as_json(headers)))
        return StoredObject(_info(found, etag), headers)

    def delete(self, connection: Connection, key: str) -> None:
        connection.execute(delete(tables.objects).where(self._is(key)))

    def _are(self) -> ColumnElement[bool]:
        return (_objects.tenant == self._own["tenant"]) & (_objects.bucket == self._own["bucket"])

    def _is(self, key: str) -> ColumnElement[bool]:
        return self._are() & (_objects.key == key)


def foreign_etag(found: Found) -> str:
    """The ETag of a file that came or changed past Craton: of its time and size, so that no listing reads files.

    Written as those of objects in parts are, so nobody takes it for the MD5 of its bytes.
    """
    mark = hashlib.md5(f"{found.modified} {found.size}".encode(), usedforsecurity=False)
    return f"{mark.hexdigest()}-1"


def _info(found: Found, etag: str) -> ObjectInfo:
    return ObjectInfo(found.key, found.size, etag, found.modified / 1e9)
