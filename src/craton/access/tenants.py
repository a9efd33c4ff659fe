"""Tenants: the walls between the users of one installation."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from craton.access import tables
from craton.access.names import check_tenant
from craton.core.access import SHARED_TENANT
from craton.core.errors import Conflict
from craton.store.database import Database

DEFAULT_TENANT = "default"


class Tenants:
    """Blocking, safe in threads. clock: seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def create(self, name: str) -> None:
        """Raises InvalidRequest for a bad name, Conflict when it is taken or reserved."""
        if name == SHARED_TENANT:
            raise Conflict("tenant", name, "the name is reserved for what all tenants may read.")
        try:
            with self._database.write() as connection:
                connection.execute(insert(tables.tenants).values(name=check_tenant(name), created=self._clock()))
        except IntegrityError as error:
            raise Conflict("tenant", name, "it exists already.") from error

    def list(self) -> list[str]:
        """All names, sorted."""
        with self._database.read() as connection:
            return list(connection.execute(select(tables.tenants.c.name).order_by(tables.tenants.c.name)).scalars())


def tenant_exists(connection: Connection, name: str) -> bool:
    return connection.execute(select(tables.tenants.c.name).where(tables.tenants.c.name == name)).first() is not None
