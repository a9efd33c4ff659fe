"""Reads what a database holds: tables, columns, comments, keys, a few values of each column. All of it bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from craton.core.errors import TooLarge
from craton.data.sql.connection import reading
from craton.data.sql.words import Column, ForeignKey, Registered, TableInfo

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MAX_TABLES = 200
MAX_COLUMNS = 2000
MAX_COMMENT = 500  # characters
SAMPLES = 4
SAMPLED_ROWS = 500
MAX_SAMPLE = 60  # characters

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       left(coalesce(pg_catalog.col_description(c.oid, a.attnum), ''), %(comment)s),
       left(coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), %(comment)s), t.typcategory
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY(%(schemas)s)
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY n.nspname, c.relname, a.attnum
LIMIT %(limit)s
"""
_KEYS = """
SELECT n.nspname, c.relname, k.contype, m.nspname, f.relname,
       (SELECT array_agg(a.attname::text ORDER BY o.place) FROM unnest(k.conkey) WITH ORDINALITY o(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.number),
       (SELECT array_agg(a.attname::text ORDER BY o.place) FROM unnest(k.confkey) WITH ORDINALITY o(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.number)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace m ON m.oid = f.relnamespace
WHERE k.contype IN ('p', 'f') AND n.nspname = ANY(%(schemas)s)
ORDER BY n.nspname, c.relname, k.conname
LIMIT 2000
"""
_SAMPLED = frozenset("BDEIS")  # typcategory: boolean, date, enumeration, network, string
Key = tuple[str, str]


async def read_schema(database: Registered, schemas: Sequence[str] = ("public",)) -> tuple[TableInfo, ...]:
    """What the database's role may read in these schemas, sorted by name. samples are left to `with_samples`.

    Raises TooLarge when there is more than a prompt can hold, and what `reading` raises.
    """
    async with reading(database) as connection:
        values = {"schemas": list(schemas), "comment": MAX_COMMENT, "limit": MAX_COLUMNS + 1}
        columns = await (await connection.execute(_COLUMNS, values)).fetchall()
        keys = await (await connection.execute(_KEYS, values)).fetchall()
    if len(columns) > MAX_COLUMNS:
        raise TooLarge(f"The schema of {database.name!r}", MAX_COLUMNS, unit="columns")
    tables: dict[Key, TableInfo] = {}
    for schema, table, name, kind, nullable, comment, about, _ in columns:
        known = tables.get((schema, table)) or TableInfo(schema, table, (), about)
        column = Column(name, kind, comment, nullable)
        tables[schema, table] = replace(known, columns=(*known.columns, column))
    if len(tables) > MAX_TABLES:
        raise TooLarge(f"The schema of {database.name!r}", MAX_TABLES, len(tables), "tables")
    for schema, table, kind, other_schema, other, here, there in keys:
        if (schema, table) not in tables:
            continue
        known = tables[schema, table]
        if kind == "p":
            tables[schema, table] = replace(known, key=tuple(here))
        elif (other_schema, other) in tables:
            key = ForeignKey(tuple(here), other_schema, other, tuple(there))
            tables[schema, table] = replace(known, foreign_keys=(*known.foreign_keys, key))
    return tuple(tables.values())


async def with_samples(database: Registered, tables: Sequence[TableInfo]) -> tuple[TableInfo, ...]:
    """The same with a few values of their columns of text, dates and the like, from their first rows."""
    async with reading(database) as connection:
        return tuple([replace(table, columns=await _sampled(connection, table)) for table in tables])


async def _sampled(connection: AsyncConnection[Any], table: TableInfo) -> tuple[Column, ...]:
    from psycopg.sql import SQL, Identifier

    if not table.columns:
        return ()
    value = SQL("left({}::text, {})")
    one = SQL("(SELECT array_agg(v) FROM (SELECT DISTINCT {} AS v FROM first_rows WHERE {} IS NOT NULL LIMIT {}) AS d)")
    names = [Identifier(column.name) for column in table.columns]
    chosen = SQL(", ").join(one.format(value.format(name, MAX_SAMPLE), name, SAMPLES) for name in names)
    query = SQL("WITH first_rows AS (SELECT {} FROM {} LIMIT {}) SELECT {}").format(
        SQL(", ").join(names), Identifier(table.schema, table.name), SAMPLED_ROWS, chosen
    )
    row = await (await connection.execute(query)).fetchone()
    found = row or [None] * len(names)
    return tuple(
        replace(column, samples=tuple(values or ())) for column, values in zip(table.columns, found, strict=True)
    )
