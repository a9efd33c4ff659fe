"""How much a tenant has stored, and how much it may.

The total is a row that changes in the transaction that changes what it counts. The limits are rows too, written from
the operator's settings at the start: so whoever stores something needs nothing but the connection.

A tenant's files count once each, however many commits name them, and whoever else has the same. The xorbs that it
uploads are counted beside them, under the same limit, because they lie beside the files that are made of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy import func as sql

from craton.core.access import SHARED_TENANT
from craton.core.errors import QuotaExceeded
from craton.hub.keeping.tables import quotas, usage
from craton.hub.tables import stored
from craton.hub.xet.tables import xorbs
from craton.store.database import Database

EVERYBODY = ""


class Usage(Struct, frozen=True):
    """bytes of so many files; xorbs: bytes that were uploaded as chunks. quota: bytes, None without a limit."""

    tenant: str
    bytes: int = 0
    files: int = 0
    xorbs: int = 0
    quota: int | None = None


class Quotas:
    """Blocking, safe in threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def configure(self, limits: Mapping[str, int]) -> None:
        """Tenant ("" for all others) -> bytes. Writes only what is new."""
        with self._database.read() as connection:
            known = {row.tenant: row.bytes for row in connection.execute(select(quotas))}
        if known != dict(limits):
            with self._database.write() as connection:
                connection.execute(delete(quotas))
                if limits:
                    connection.execute(insert(quotas), [{"tenant": it, "bytes": size} for it, size in limits.items()])

    def check(self, tenant: str, more: int) -> None:
        """Before bytes are taken in. Raises QuotaExceeded when so many more would be too many."""
        with self._database.read() as connection:
            check_room(connection, tenant, more)

    def all(self) -> list[Usage]:
        with self._database.read() as connection:
            tenants = connection.scalars(select(usage.c.tenant).order_by(usage.c.tenant)).all()
            return [read_usage(connection, tenant) for tenant in tenants]

    def usage(self, tenant: str) -> Usage:
        with self._database.read() as connection:
            return read_usage(connection, tenant)

    def recount(self, tenant: str) -> Usage:
        """From the rows themselves."""
        with self._database.write() as connection:
            mine = select(sql.coalesce(sql.sum(stored.c.size), 0), sql.count()).where(stored.c.tenant == tenant)
            size, files = connection.execute(mine).one()
            chunks = select(sql.coalesce(sql.sum(xorbs.c.size), 0)).where(xorbs.c.tenant == tenant)
            values = {"bytes": size, "files": files, "xorbs": connection.scalar(chunks)}
            if not connection.execute(update(usage).where(usage.c.tenant == tenant).values(values)).rowcount:
                connection.execute(insert(usage).values(tenant=tenant, **values))
            return read_usage(connection, tenant)


def read_usage(connection: Connection, tenant: str) -> Usage:
    row = connection.execute(select(usage).where(usage.c.tenant == tenant)).one_or_none()
    names = (tenant,) if tenant == SHARED_TENANT else (tenant, EVERYBODY)
    limits = {it.tenant: it.bytes for it in connection.execute(select(quotas).where(quotas.c.tenant.in_(names)))}
    quota = limits.get(tenant, limits.get(EVERYBODY))
    return Usage(tenant, quota=quota) if row is None else Usage(tenant, row.bytes, row.files, row.xorbs, quota)


def check_room(connection: Connection, tenant: str, more: int, *, chunks: bool = False) -> None:
    """Before bytes are taken in. Raises QuotaExceeded when so many more would be too many."""
    found = read_usage(connection, tenant)
    _check(found, (found.xorbs if chunks else found.bytes) + more)


def charge(connection: Connection, tenant: str, size: int, files: int = 0, *, chunks: bool = False) -> None:
    """Counts bytes that come (or, below zero, go), in the transaction in which they do. chunks: they are xorbs.

    Raises QuotaExceeded when they would be too many.
    """
    found = read_usage(connection, tenant)
    if size > 0:
        _check(found, (found.xorbs if chunks else found.bytes) + size)
    new = {"bytes": found.bytes, "files": found.files + files, "xorbs": found.xorbs}
    new["xorbs" if chunks else "bytes"] += size
    if not connection.execute(update(usage).where(usage.c.tenant == tenant).values(new)).rowcount:
        connection.execute(insert(usage).values(tenant=tenant, **new))


def _check(found: Usage, size: int) -> None:
    if found.quota is not None and size > found.quota:
        raise QuotaExceeded("What this tenant stores", found.quota, size)
