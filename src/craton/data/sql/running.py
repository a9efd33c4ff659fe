"""Runs a checked statement as a role that cannot write, in a read-only transaction, and takes only so many rows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.data.sql.connection import reading
from craton.data.sql.words import Checked, Registered, Rows

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MAX_ROW = 256 * 1024  # bytes of JSON
MAX_ROWS_BYTES = 4 * 1024 * 1024
_BATCH = 50  # rows: at most _BATCH * MAX_ROW bytes come at once

# The server writes each row as JSON and sends none that is too long: a cell of a gigabyte never comes here.
_AS_JSON = (
    "SELECT CASE WHEN octet_length(row) <= {limit} THEN row END, octet_length(row) "
    "FROM (SELECT pg_catalog.row_to_json(answer)::text AS row FROM ({sql}) AS answer) AS written"
)
_MAY_WRITE = (
    "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) OR EXISTS (SELECT 1 FROM "
    "unnest(%s::text[], %s::text[]) AS used(schema, name) JOIN pg_catalog.pg_namespace n ON n.nspname = used.schema "
    "JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = used.name "
    "WHERE pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))"
)


async def run(database: Registered, checked: Checked) -> Rows:
    """Raises Unsupported when the role could write, TooLarge for a row, InvalidRequest for what PostgreSQL says of the
    statement (a column that is not there, a division by zero), DeadlineExceeded, SourceFailed."""
    async with reading(database) as connection:
        await _refuse_writers(connection, database, checked.tables)
        async with connection.cursor(name="craton_answer") as cursor:  # DECLARE takes nothing that writes
            await cursor.execute(_AS_JSON.format(limit=MAX_ROW, sql=checked.sql).encode())
            rows: list[Json] = []
            size = 0
            while batch := await cursor.fetchmany(_BATCH):
                for text, length in batch:
                    if text is None:
                        raise TooLarge("A row", MAX_ROW, length)
                    size += length
                    if size > MAX_ROWS_BYTES:
                        return _rows(rows, truncated=True)
                    rows.append(_decode(text))
            return _rows(rows)


async def plan(database: Registered, checked: Checked) -> None:
    """Has PostgreSQL read the statement without running it: columns that are not there are found so. Raises what `run`
    raises."""
    async with reading(database) as connection:
        await _refuse_writers(connection, database, checked.tables)
        await connection.execute(f"EXPLAIN {checked.sql}".encode())


async def _refuse_writers(connection: AsyncConnection[Any], database: Registered, tables: tuple[str, ...]) -> None:
    pairs = [table.split(".", 1) for table in tables]
    found = await connection.execute(_MAY_WRITE, [[one for one, _ in pairs], [other for _, other in pairs]])
    row = await found.fetchone()
    if row is None or row[0]:
        raise Unsupported(
            f"Asking the database {database.name!r} as a role that can write",
            f"Give [databases.{database.name}] a role that may only read.",
        )


def _rows(rows: list[Json], truncated: bool = False) -> Rows:
    return Rows(tuple(rows[0]) if rows else (), tuple(rows), truncated)


def _number(text: str) -> float | str:
    """A float where that is exact enough to be written back the same, else the digits as they are."""
    number = float(text)
    return number if Decimal(repr(number)) == Decimal(text) else text


_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=_number)


def _decode(text: str) -> Json:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, ArithmeticError) as error:
        raise InvalidRequest("a row holds what cannot be written as JSON", "sql") from error
