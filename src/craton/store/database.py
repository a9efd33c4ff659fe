"""Rows: SQLite (the embedded default) or PostgreSQL, written by any number of processes.

SQLite runs in WAL mode with synchronous=FULL, so a committed row survives power loss; writers take the lock at
the beginning (BEGIN IMMEDIATE), which turns lock upgrades that would fail half way into plain waiting.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from craton.core.errors import StorageFull

LOCK_PATIENCE = 30.0  # seconds that a writer waits for the others


class Database:
    """Short transactions over one SQLAlchemy engine. Safe to use from several threads."""

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """url: "sqlite:////path/to/file" or "postgresql+psycopg://..."."""
        self.url = url
        self._sleep = sleep
        self.engine: Engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)

    @classmethod
    def at(cls, path: Path) -> Database:
        """The SQLite database in this file."""
        return cls(f"sqlite:///{path}")

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; nothing is written."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end of the block, rolled back when it raises.

        Raises StorageFull when the disk has no room.
        """
        with self.engine.connect() as connection:
            self._begin(connection)
            try:
                yield connection
                connection.commit()
            except OperationalError as error:
                connection.rollback()
                if "disk is full" in str(error) or "disk I/O error" in str(error):
                    raise StorageFull() from error
                raise
            except BaseException:
                connection.rollback()
                raise

    def _begin(self, connection: Connection) -> None:
        if not self.is_sqlite:
            connection.begin()
            return
        give_up = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                connection.rollback()
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                self._sleep(random.uniform(0.002, 0.05))

    def close(self) -> None:
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=1000")
    cursor.close()
