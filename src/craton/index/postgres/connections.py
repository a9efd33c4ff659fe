"""A few connections to one PostgreSQL, used from threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from craton.core.errors import CratonError, Damaged, StorageFull, Throttled

if TYPE_CHECKING:
    import psycopg

Cursor = Any  # psycopg.Cursor, whose rows are tuples of anything
T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
PATIENCE = {
    "connect_timeout": 10,  # seconds, as the next two
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""libpq's options, unless the URL has its own: a server that is gone without a word is noticed."""


class Connections:
    """At most `size` at a time; a call waits for one. Errors are `core.errors`, with nothing of that server."""

    def __init__(self, url: str, size: int, prepare: Callable[[Cursor], None]) -> None:
        """prepare: done once with every new connection."""
        self._url, _, options = url.replace("postgresql+psycopg://", "postgresql://", 1).partition("?")
        self._options: dict[str, Any] = dict(parse_qsl(options))  # libpq would not read "+" as a space
        self._free: list[psycopg.Connection] = []
        self._lock = threading.Lock()
        self._room = asyncio.Semaphore(size)
        self._prepare = prepare
        # Threads of its own: calls that wait for a server that is gone must not take the ones that others need.
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="craton-index")

    async def run(self, work: Callable[[Cursor], T], *, transaction: bool = True) -> T:
        """One transaction in a thread. What can be repeated is, once, when a connection turns out to be dead."""
        async with self._room:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work, transaction)

    async def close(self) -> None:
        with self._lock:
            connections, self._free = self._free, []
        for connection in connections:
            await asyncio.to_thread(connection.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, work: Callable[[Cursor], T], transaction: bool) -> T:
        import psycopg
        from psycopg import errors

        for attempt in (1, 2):
            try:
                return self._once(work, transaction)
            except CratonError:
                raise
            except (errors.DiskFull, errors.OutOfMemory):
                raise StorageFull("The index's database has no room.") from None
            except (
                psycopg.errors.UndefinedTable,
                psycopg.errors.DataCorrupted,
                psycopg.errors.IndexCorrupted,
            ) as error:
                raise Damaged("the index", f"its tables cannot be read ({type(error).__name__})") from None
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.warning("the index's database: %s", type(error).__name__)
                if attempt == 2:
                    raise Throttled("The index's database cannot be reached.", RETRY_SECONDS) from None
                with self._lock:  # one is dead: so are, likely, all
                    dead, self._free = self._free, []
                for connection in dead:
                    connection.close()
        raise AssertionError

    def _once(self, work: Callable[[Cursor], T], transaction: bool) -> T:
        connection = self._take()
        try:
            if transaction:
                with connection.transaction(), connection.cursor() as cursor:
                    result = work(cursor)
            else:
                with connection.cursor() as cursor:
                    result = work(cursor)
        except BaseException:
            if connection.closed or connection.broken:
                connection.close()
            else:
                self._give(connection)
            raise
        self._give(connection)
        return result

    def _take(self) -> psycopg.Connection:
        import psycopg

        with self._lock:
            if self._free:
                return self._free.pop()
        connection = psycopg.connect(self._url, autocommit=True, **{**PATIENCE, **self._options})
        try:
            with connection.cursor() as cursor:
                self._prepare(cursor)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give(self, connection: psycopg.Connection) -> None:
        with self._lock:
            self._free.append(connection)
