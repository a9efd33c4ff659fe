"""Which buckets there are, and where each one lives."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from craton.buckets import tables
from craton.buckets.names import check_bucket, is_bucket
from craton.buckets.values import Bucket, Place, as_json
from craton.core.errors import Conflict, NotFound, Throttled
from craton.store.database import Database

MAX_BUCKETS = 10_000  # of a tenant
_buckets = tables.buckets.c


class Registry:
    """Blocking, safe in threads. clock: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    def create(self, tenant: str, name: str, place: Place) -> Bucket:
        """Raises InvalidRequest for a bad name, Conflict when there is one, Throttled when there are MAX_BUCKETS."""
        bucket = Bucket(tenant, check_bucket(name), self._clock(), place)
        row = {"tenant": tenant, "name": name, "created": bucket.created, "value": as_json(place)}
        try:
            with self._database.write() as connection:
                if len(connection.execute(select(_buckets.name).where(_buckets.tenant == tenant)).all()) >= MAX_BUCKETS:
                    raise Throttled(f"There are {MAX_BUCKETS:,} buckets already.")
                connection.execute(insert(tables.buckets).values(**row))
        except IntegrityError as error:
            raise Conflict("bucket", name, "it exists already.") from error
        return bucket

    def everyones(self) -> list[Bucket]:
        """Of all tenants: for upkeep alone."""
        with self._database.read() as connection:
            return [_bucket(row) for row in connection.execute(select(tables.buckets)).all()]

    def list(self, tenant: str) -> list[Bucket]:
        """By name."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.buckets).where(_buckets.tenant == tenant)).all()
        return sorted((_bucket(row) for row in rows), key=lambda bucket: bucket.name)

    def get(self, tenant: str, name: str) -> Bucket:
        """Raises NotFound."""
        if not is_bucket(name):
            raise NotFound("bucket", name[:63])
        with self._database.read() as connection:
            row = connection.execute(select(tables.buckets).where(_is(tenant, name))).first()
        if row is None:
            raise NotFound("bucket", name, "`craton buckets create` makes one.")
        return _bucket(row)

    def delete(self, tenant: str, name: str, clear: Callable[[Connection], None]) -> None:
        """clear: takes the bucket's contents away, in the same transaction; what it raises keeps the bucket.

        Raises NotFound."""
        with self._database.write() as connection:
            if connection.execute(delete(tables.buckets).where(_is(tenant, name))).rowcount == 0:
                raise NotFound("bucket", name)
            mine = (tables.objects.c.tenant == tenant) & (tables.objects.c.bucket == name)
            connection.execute(delete(tables.objects).where(mine))
            clear(connection)


def _bucket(row: Row[tuple[str, str, float, str]]) -> Bucket:
    return Bucket(row.tenant, row.name, row.created, msgspec.json.decode(row.value, type=Place))


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return (_buckets.tenant == tenant) & (_buckets.name == name)
