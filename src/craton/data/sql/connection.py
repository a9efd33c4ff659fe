"""Connections to a registered PostgreSQL, for reading: bounded, pinned, and with errors that tell nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from craton.core.errors import DeadlineExceeded, InvalidRequest, SourceFailed, Unsupported
from craton.data.sql.words import Registered

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CONNECT = 10  # seconds


@asynccontextmanager
async def reading(database: Registered) -> AsyncIterator[AsyncConnection[Any]]:
    """A read-only transaction in which names mean nothing without their schema.

    Raises Unsupported without the driver, SourceFailed when the database cannot be reached, DeadlineExceeded,
    InvalidRequest for what PostgreSQL says of a statement.
    """
    try:
        await asyncio.to_thread(import_module, "psycopg")  # the first time takes a tenth of a second
    except ImportError:
        raise Unsupported("Asking a database", "Install craton[postgres].") from None
    import psycopg
    from psycopg.sql import SQL, Identifier

    with _wording(database):
        async with asyncio.timeout(CONNECT + database.seconds + 5.0):
            connection = await psycopg.AsyncConnection.connect(database.url, autocommit=True, connect_timeout=CONNECT)
            async with connection, connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                if database.role:
                    await connection.execute(SQL("SET LOCAL ROLE {}").format(Identifier(database.role)))
                for setting in (
                    f"statement_timeout = {int(database.seconds * 1000)}",
                    "lock_timeout = 2000",
                    "idle_in_transaction_session_timeout = 60000",
                    "search_path = ''",
                    "standard_conforming_strings = on",
                    "datestyle = 'ISO'",
                    "timezone = 'UTC'",
                    "extra_float_digits = 1",
                    "jit = off",
                ):
                    await connection.execute(f"SET LOCAL {setting}".encode())
                yield connection


@contextmanager
def _wording(database: Registered) -> Iterator[None]:
    import psycopg

    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(database.seconds) from error
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
        raise DeadlineExceeded(database.seconds) from error
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise InvalidRequest(error.diag.message_primary or "the database refuses the query", "sql") from error
    except (psycopg.Error, OSError) as error:
        raise SourceFailed(database.name, "the database cannot be reached, or broke off") from error
