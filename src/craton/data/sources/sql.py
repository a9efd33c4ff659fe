"""Rows of a PostgreSQL database that the operator registered: each is a document.

Everything runs in read-only transactions with a statement timeout, one statement at a time (the extended protocol takes
no second one). A listing is read through a server-side cursor, of one moment, into the spool, so that no transaction
stays open while documents are embedded. Values travel as parameters, identifiers quoted.

Incremental: rows are listed whose `updated` is at or after the latest that was seen; those at the border that were
listed already are known by their digests. A transaction that commits late with an earlier value is missed: use a value
that grows at the commit, or no `updated` at all (every listing is then whole, and shows what was deleted).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest, NotFound, SourceFailed, TooLarge, Unsupported
from craton.core.knowledge import Location
from craton.data.documents import Fetched, Item
from craton.data.sources.files import save
from craton.data.sources.options import SqlOptions
from craton.data.sources.records import as_text, check_names, digest, metadata_of, render, template_fields
from craton.data.sources.spool import Spool

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.sql import Composable, Composed

CAPACITY = 16 * 1024**3  # bytes of keys and digests of one listing
MAX_BORDER = 10_000  # digests kept; with more rows of one moment some are listed again, and none is lost
CONNECT = 10  # seconds
PRIMARY_KEY = """
SELECT a.attname FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS part (number, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.number
WHERE i.indrelid = %s::text::regclass AND i.indisprimary AND part.place <= i.indnkeyatts
ORDER BY part.place"""
NOT_THE_QUERY = frozenset({"08", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX"})
"""Classes of SQLSTATE that tell of the connection or the server; their messages stay here."""
Row = Mapping[str, Any]


class _Cursor(Struct, frozen=True):
    """value: the latest `updated` that was seen, as PostgreSQL writes it. seen: digests of the rows that had it."""

    value: str
    seen: tuple[str, ...] = ()


class SqlSource:
    """Keys are the key columns' values as PostgreSQL writes them; several as a JSON list. etag: of the row's text."""

    def __init__(self, url: str, options: SqlOptions) -> None:
        """url: SQLAlchemy's or libpq's, with credentials, which are never repeated. Raises Unsupported without the
        driver."""
        try:
            import psycopg  # noqa: F401 - an extra: said here, not in the middle of a run
        except ImportError:
            raise Unsupported("A database as a source", "Install craton[postgres].") from None
        self._url, self._options = url, options
        self._spool = Spool(CAPACITY)
        self._reader: AsyncConnection[Any] | None = None
        self._one_fetch = asyncio.Lock()
        self._columns: Sequence[str] = ()
        self._key: Sequence[str] = options.key
        self._cursor: _Cursor | None = None

    @property
    def incremental(self) -> bool:
        return self._options.updated != ""

    # --- listing ------------------------------------------------------------------------------------------------

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        before = msgspec.json.decode(cursor, type=_Cursor) if cursor and self.incremental else None
        self._spool.clear()
        self._cursor = before
        with self._wording():
            async with await self._connect() as connection:
                await self._read(connection, before)
        for key, value in self._spool.items():
            etag, deleted = msgspec.msgpack.decode(value, type=tuple[str, bool])
            yield Item(key, etag, deleted=deleted)

    async def _read(self, connection: AsyncConnection[Any], before: _Cursor | None) -> None:
        """All rows into the spool, all or nothing: what raises half way has listed nothing."""
        border = _Border(before)
        async with self._transaction(connection):
            await self._discover(connection)
            query, values = self._listing(before)
            async with connection.cursor(name="craton_listing") as rows:
                rows.itersize = self._options.page_size
                await rows.execute(query, values)
                async for row in rows:
                    *key, etag, updated, deleted = row
                    if any(part is None for part in key):
                        raise InvalidRequest("a row has no value in a key column", "options.key")
                    name = _join(key)
                    if border.is_new(updated, f"{name}\0{etag}\0{deleted}") and not self._keep(name, etag, deleted):
                        raise TooLarge("A listing", CAPACITY)
        self._cursor = border.cursor()

    def _keep(self, name: str, etag: str, deleted: bool) -> bool:
        if deleted and not self.incremental:  # what a whole listing does not hold is gone
            return True
        if not self.incremental and name in self._spool:
            raise InvalidRequest("two rows have the same key", "options.key")
        return self._spool.put(name, msgspec.msgpack.encode((etag, deleted)))

    def _listing(self, before: _Cursor | None) -> tuple[Composed, Sequence[str]]:
        """Key columns, etag, updated and deleted of each row, in the order of `updated`."""
        from psycopg.sql import SQL

        options = self._options
        keys = SQL(", ").join(SQL("{}::text").format(_column(name)) for name in self._key)
        updated = _column(options.updated) if options.updated else SQL("NULL")
        query = SQL(
            "SELECT {}, encode(sha256(convert_to((source.*)::text, 'UTF8')), 'hex'), {}::text, {} FROM {} AS source"
        ).format(keys, updated, self._deleted(), self._from())
        if before is not None:
            query = SQL("{} WHERE {} >= %s").format(query, updated)
        if options.updated:
            query = SQL("{} ORDER BY {} NULLS FIRST").format(query, updated)
        return query, [before.value] if before is not None else []

    def _deleted(self) -> Composable:
        from psycopg.sql import SQL

        if not self._options.deleted:
            return SQL("false")
        column = _column(self._options.deleted)
        return SQL("({0} IS NOT NULL AND (pg_typeof({0}) <> 'boolean'::regtype OR {0}::text = 'true'))").format(column)

    def cursor(self) -> str | None:
        return None if self._cursor is None else msgspec.json.encode(self._cursor).decode()

    # --- fetching -----------------------------------------------------------------------------------------------

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        what = f"The row {item.key!r}"
        row = await self._fetch(item.key, what, limit)
        options = self._options
        text = render(row, options.text, options.template)
        path = save(folder, text.encode("utf-8", "replace"), what, limit)
        return Fetched(
            path,
            Location("sql", self._address(item.key)),
            "row.txt",
            "text/plain",
            as_text(row.get(options.title)) if options.title else "",
            metadata_of(row, {name: name for name in options.metadata}),
        )

    async def _fetch(self, key: str, what: str, limit: int) -> Row:
        from psycopg.rows import dict_row
        from psycopg.sql import SQL

        async with self._one_fetch:
            with self._wording():
                connection = await self._open_reader()
                async with self._transaction(connection):
                    if not self._columns:
                        await self._discover(connection)
                    values = _split(key, len(self._key))
                    wanted = SQL(", ").join(map(_column, self._wanted()))
                    same = SQL(" AND ").join(SQL("{} = %s").format(_column(name)) for name in self._key)
                    place = SQL("{} AS source WHERE {} AND NOT {}").format(self._from(), same, self._deleted())
                    sizes = SQL("SELECT octet_length((source.*)::text) FROM {}").format(place)
                    size = await (await connection.execute(sizes, values)).fetchone()
                    if size is None:
                        raise NotFound("row", key[:200])
                    if size[0] > limit:  # before it comes here
                        raise TooLarge(what, limit, size[0])
                    async with connection.cursor(row_factory=dict_row) as rows:
                        await rows.execute(SQL("SELECT {} FROM {}").format(wanted, place), values)
                        found: Row | None = await rows.fetchone()
        if found is None:
            raise NotFound("row", key[:200])
        return found

    def _wanted(self) -> Sequence[str]:
        options = self._options
        text = [*options.text, *template_fields(options.template)] or self._columns
        return list(dict.fromkeys([*text, *([options.title] if options.title else []), *options.metadata]))

    async def _discover(self, connection: AsyncConnection[Any]) -> None:
        """The columns and the key. Raises InvalidRequest for an option that names another column, and for a table
        without a primary key when the options name none."""
        from psycopg.sql import SQL

        empty = await connection.execute(SQL("SELECT * FROM {} AS source LIMIT 0").format(self._from()), [])
        self._columns = [column.name for column in empty.description or ()]
        options = self._options
        if not options.key:
            table = self._from().as_string(connection).replace("%%", "%")
            self._key = [row[0] for row in await (await connection.execute(PRIMARY_KEY, [table])).fetchall()]
            if not self._key:
                raise InvalidRequest(
                    "the table has no primary key: name the columns that tell its rows apart", "options.key"
                )
        check_names(self._key, self._columns, "key")
        check_names([options.title], self._columns, "title")
        check_names(options.text, self._columns, "text")
        check_names(template_fields(options.template), self._columns, "template")
        check_names(options.metadata, self._columns, "metadata")
        check_names([options.updated], self._columns, "updated")
        check_names([options.deleted], self._columns, "deleted")

    def _address(self, key: str) -> str:
        values = _split(key, len(self._key))
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in zip(self._key, values, strict=True)
        )
        return f"postgresql://{quote(self._options.database)}/{quote(self._options.table or 'query')}?{query}"

    def _from(self) -> Composable:
        from psycopg.sql import SQL, Identifier

        if self._options.table:
            return Identifier(*(_escaped(part) for part in self._options.table.split(".")))
        query = _escaped(self._options.query.strip().removesuffix(";"))
        return SQL(f"({query}\n)")  # the owner's own query; the line end closes a comment

    # --- the connection -----------------------------------------------------------------------------------------

    async def _open_reader(self) -> AsyncConnection[Any]:
        if self._reader is None or self._reader.closed:
            self._reader = await self._connect()
        return self._reader

    async def _connect(self) -> AsyncConnection[Any]:
        import psycopg

        milliseconds = int(self._options.timeout * 1000)
        given = {**connection_arguments(self._url), "connect_timeout": CONNECT}
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **given)
        for setting in (
            f"statement_timeout = {milliseconds}",
            "default_transaction_read_only = on",
            "datestyle = 'ISO'",
            "timezone = 'UTC'",
            "extra_float_digits = 1",
        ):
            await connection.execute(f"SET {setting}".encode())
        connection.prepare_threshold = 0  # every statement is a prepared one: two in one are refused
        return connection

    @asynccontextmanager
    async def _transaction(self, connection: AsyncConnection[Any]) -> AsyncIterator[None]:
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", prepare=False)
            yield

    @contextmanager
    def _wording(self) -> Iterator[None]:
        """PostgreSQL's errors without what they tell of the machine; those about the query itself as they are."""
        import psycopg

        name = self._options.database
        try:
            yield
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
            raise SourceFailed(name, f"a query took longer than {self._options.timeout:g} seconds") from error
        except psycopg.Error as error:
            if error.sqlstate and error.sqlstate[:2] not in NOT_THE_QUERY:
                raise InvalidRequest(error.diag.message_primary or "the query is refused", "options") from error
            raise SourceFailed(name, "the database cannot be reached, refuses, or broke off") from error
        except OSError as error:
            raise SourceFailed(name, "the database cannot be reached") from error

    async def close(self) -> None:
        self._spool.close()
        if self._reader is not None:
            with suppress(Exception):
                await self._reader.close()


def connection_arguments(url: str) -> dict[str, Any]:
    """libpq's parameters: SQLAlchemy writes blanks in a URL as "+", which libpq does not read so.

    Raises InvalidRequest for what is no PostgreSQL URL."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidRequest("it is not registered as a database's URL", "options.database") from error
    if parsed.get_backend_name() != "postgresql":
        raise InvalidRequest("it is not a PostgreSQL database", "options.database")
    return {**parsed.translate_connect_args(username="user", database="dbname"), **parsed.query}


class _Border:
    """Follows `updated` through a listing that is sorted by it, and knows the rows of its last value."""

    def __init__(self, before: _Cursor | None) -> None:
        self._before = set(before.seen) if before else set()
        self._old = before.value if before else None
        self._value = self._old
        self._seen = list(before.seen) if before else []

    def is_new(self, updated: str | None, row: str) -> bool:
        """updated: None when the row has none, or no such column was named."""
        if updated is None:
            return True
        mark = digest(row.encode())[:16]
        if updated != self._value:
            self._value, self._seen = updated, []
        if updated == self._old and mark in self._before:
            return False
        if len(self._seen) < MAX_BORDER:
            self._seen.append(mark)
        return True

    def cursor(self) -> _Cursor | None:
        return None if self._value is None else _Cursor(self._value, tuple(self._seen))


def _column(name: str) -> Composable:
    from psycopg.sql import SQL, Identifier

    return SQL("source.{}").format(Identifier(_escaped(name)))


def _escaped(text: str) -> str:
    """psycopg reads every "%" of a statement as a placeholder's, also in names and quoted text."""
    return text.replace("%", "%%")


def _join(key: Sequence[str]) -> str:
    return key[0] if len(key) == 1 else msgspec.json.encode(key).decode()


def _split(key: str, parts: int) -> list[str]:
    if parts == 1:
        return [key]
    try:
        values = msgspec.json.decode(key, type=tuple[str, ...])
    except msgspec.MsgspecError:
        values = ()
    if len(values) != parts:
        raise NotFound("row", key[:200])
    return list(values)
