"""Databases as an operator registers them: schemas of a real PostgreSQL, a role that may only read, a broken line."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import make_url

SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Schema:
    """An empty schema. folder: of PostgreSQL's socket. reader: a role without any right until it is given one."""

    name: str
    folder: str
    database: str
    user: str
    reader: str
    connection: psycopg.Connection[Any]

    def url(self, folder: str = "") -> str:
        """As config.toml takes it; tables without a schema are this schema's. folder: another socket's."""
        options = quote(f"-c search_path={self.name}", safe="")
        return (
            f"postgresql://{self.user}@/{self.database}?host={quote(folder or self.folder, safe='')}&options={options}"
        )

    def run(self, sql: str, *values: Any) -> None:
        self.connection.execute(sql, values or None)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def tables(self, prefix: str = "") -> list[str]:
        found = self.connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s) ORDER BY 1",
            (self.name, prefix),
        )
        return [row[0] for row in found]


@contextmanager
def new_schema(postgres_server: str) -> Iterator[Schema]:
    url = make_url(postgres_server)
    name, folder = f"test_{uuid.uuid4().hex[:16]}", str(url.query["host"])
    database, user, reader = url.database or "postgres", url.username or "postgres", f"reader_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(host=folder, dbname=database, user=user, autocommit=True) as connection:
        for statement in (
            f"CREATE SCHEMA {name}",
            f"SET search_path = {name}",
            f"CREATE ROLE {reader} NOLOGIN",
            f"GRANT USAGE ON SCHEMA {name} TO {reader}",
        ):
            connection.execute(statement.encode())
        yield Schema(name, folder, database, user, reader, connection)
        for statement in (f"DROP SCHEMA {name} CASCADE", f"DROP OWNED BY {reader}", f"DROP ROLE {reader}"):
            connection.execute(statement.encode())


class Line:
    """A way to PostgreSQL's socket that can be cut, and be mended again."""

    def __init__(self, behind: str) -> None:
        """behind: the folder of the real socket."""
        self.folder = tempfile.mkdtemp(prefix="line-")  # not pytest's folder: a socket's path is short
        self._path, self._behind = Path(self.folder) / SOCKET, str(Path(behind) / SOCKET)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Nobody comes through, and who was through is thrown out."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            ended, self._open = self._open, []
        for one in ended:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._behind)
                with self._lock:
                    self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
