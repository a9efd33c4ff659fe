"""Rows: SQLite (the embedded default) or PostgreSQL, written by any number of processes.

Both behave alike: a write transaction is alone in the database from its first statement to its commit, a read sees
one moment and can change nothing. Code that reads, decides and writes inside one `write()` is right on both.
SQLite runs in WAL mode with synchronous=FULL, so a committed row survives power loss; writers take the lock at
the beginning (BEGIN IMMEDIATE), which turns lock upgrades that would fail half way into plain waiting.
PostgreSQL's writers queue for one advisory lock.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from craton.core.errors import InvalidRequest, StorageFull, Throttled
from craton.store.files import Files, make_folders

LOCK_PATIENCE = 30.0  # seconds that a writer waits for the others
POSTGRES_LOCK = 0x43524154  # "CRAT": the advisory lock of all writers
_FULL, _IO_ERROR, _BUSY = 13, 10, 5  # SQLite's primary result codes
_PG_FULL, _PG_LOCK_TIMEOUT = "53100", "55P03"


class Database:
    """Short transactions over one SQLAlchemy engine. Safe to use from several threads; all calls block."""

    def __init__(
        self, url: str | URL, *, sleep: Callable[[float], None] = time.sleep, lock_patience: float = LOCK_PATIENCE
    ) -> None:
        """url: "sqlite:////path/to/file" or "postgresql+psycopg://...". lock_patience: seconds."""
        self._sleep = sleep
        self._patience = lock_patience
        self._one_writer = threading.Lock()  # threads queue here, not with a pooled connection in hand
        self.engine: Engine = create_engine(
            url,
            pool_pre_ping=make_url(url).get_backend_name() != "sqlite",
            hide_parameters=True,  # else an error's text, and so the log, would hold what people said to models
        )
        event.listen(self.engine, "connect", self._configure_sqlite if self.is_sqlite else self._configure_postgres)

    @classmethod
    def at(cls, path: Path, files: Files | None = None) -> Database:
        """The SQLite database in this file, which is made when it is not there, readable by its owner only."""
        files = files or Files()
        make_folders(files, path.parent)
        with suppress(FileExistsError):
            files.close(files.create(path))
            files.sync_folder(path.parent)  # SQLite syncs the folder for its journals, not for this file
        return cls(URL.create("sqlite", database=str(path)))

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One moment's view, however many statements; a statement that would write fails.

        Raises InvalidRequest for a value that the database cannot compare with.
        """
        with self.engine.connect() as connection, self._wording():
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA query_only=ON")
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end of the block, rolled back when it raises.

        Raises StorageFull when the disk has no room, Throttled when the other writers do not come to an end,
        InvalidRequest for a value that the database cannot hold.
        """
        if not self._one_writer.acquire(timeout=self._patience):
            raise Throttled("The database is busy.")
        try:
            with self.engine.connect() as connection, self._wording():
                self._begin(connection)
                yield connection
                connection.commit()
        finally:
            self._one_writer.release()

    def _begin(self, connection: Connection) -> None:
        if not self.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
            return
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        give_up = time.monotonic() + self._patience
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if _sqlite_code(error) != _BUSY or time.monotonic() > give_up:
                    raise
                self._sleep(random.uniform(0.002, 0.05))

    @contextmanager
    def _wording(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if isinstance(error, DataError):  # PostgreSQL only: SQLite takes both
                raise InvalidRequest("a value is too long or holds a NUL character") from error
            sqlite_code, state = _sqlite_code(error), getattr(error.orig, "sqlstate", None)
            if sqlite_code in {_FULL, _IO_ERROR} or state == _PG_FULL:
                raise StorageFull() from error
            if sqlite_code == _BUSY or state == _PG_LOCK_TIMEOUT:
                raise Throttled("The database is busy.") from error
            raise

    def close(self) -> None:
        self.engine.dispose()

    def _configure_sqlite(self, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=1000")
        give_up = time.monotonic() + self._patience
        while True:
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError:  # several first starts at once: this switch does not wait by itself
                if time.monotonic() > give_up:
                    raise
                self._sleep(random.uniform(0.002, 0.05))
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA fullfsync=ON")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    def _configure_postgres(self, connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(self._patience * 1000)}")
        connection.commit()


def _sqlite_code(error: DBAPIError) -> int | None:
    """SQLite's primary result code, None when the error is another driver's."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
