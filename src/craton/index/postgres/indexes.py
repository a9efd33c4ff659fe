"""PostgresIndexes: three tables for each index, in the first schema of the connection's search path."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.errors import Damaged, Unsupported
from craton.index.analysis import document_terms, query_terms
from craton.index.checks import check_ids, check_points, check_search, check_spec
from craton.index.postgres.connections import Connections, Cursor
from craton.index.postgres.filters import rows, walls
from craton.index.postgres.statements import MAKE_REGISTRY, MAX_EF, MIN_EF, REGISTRY, SCANNED, Statements
from craton.index.protocol import Found, Hit, IndexSpec, Point, Search
from craton.index.vectors import floats

CONNECTIONS = 8
BATCH_POINTS = 512
MAKING_LOCK = 0x6372_6174_6F6E  # an advisory lock: tables are made by one at a time


class PostgresIndexes:
    """`Indexes` in a PostgreSQL with pgvector 0.8 or later."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """url: postgresql://user:password@host/database; its role may create tables."""
        self._connections = Connections(url, connections, _prepare)
        self._open: dict[IndexSpec, PostgresIndex] = {}

    async def open(self, spec: IndexSpec) -> PostgresIndex:
        check_spec(spec)
        if spec not in self._open:
            await self._connections.run(lambda cursor: _make(cursor, spec))
            self._open.setdefault(spec, PostgresIndex(self._connections, spec))
        return self._open[spec]

    async def drop(self, spec: IndexSpec) -> None:
        check_spec(spec)
        self._open.pop(spec, None)
        await self._connections.run(lambda cursor: _drop(cursor, spec))

    async def close(self) -> None:
        await self._connections.close()


class PostgresIndex:
    """`Index`. Made by `PostgresIndexes.open`."""

    def __init__(self, connections: Connections, spec: IndexSpec) -> None:
        self._connections, self._spec = connections, spec
        self._sql = Statements(spec.tenant, spec.name, spec.dimensions)

    async def upsert(self, points: Sequence[Point]) -> None:
        check_points(points, self._spec.dimensions)
        for start in range(0, len(points), BATCH_POINTS):
            batch = {point.id: point for point in points[start : start + BATCH_POINTS]}  # the last of equal ids
            await self._connections.run(lambda cursor, part=batch: self._upsert(cursor, part))  # type: ignore[misc]

    async def delete(self, ids: Sequence[int]) -> None:
        check_ids(ids)
        if ids:
            await self._connections.run(lambda cursor: self._delete(cursor, list(ids)))

    async def search(self, search: Search) -> Found:
        check_search(search, self._spec.dimensions)
        return await self._connections.run(lambda cursor: self._search(cursor, search))

    async def count(self) -> int:
        return await self._connections.run(self._points)

    async def optimise(self) -> None:
        """Removes what deleted rows left, and tells the planner what is there."""

        def vacuum(cursor: Cursor) -> None:
            for table in self._sql.tables:
                cursor.execute(f"VACUUM (ANALYZE) {table}")

        await self._connections.run(vacuum, transaction=False)

    async def close(self) -> None:
        """Nothing is held."""

    def _points(self, cursor: Cursor, lock: str = "") -> int:
        """lock " FOR UPDATE": one writer at a time, so that none waits for another in a circle."""
        statement = f"SELECT points FROM {REGISTRY} WHERE tenant = %s AND name = %s{lock}"
        cursor.execute(statement, (self._spec.tenant.encode(), self._spec.name))
        row = cursor.fetchone()
        if row is None:
            raise Damaged("the index", "it is gone")
        return int(row[0])

    def _upsert(self, cursor: Cursor, points: dict[int, Point]) -> None:
        self._points(cursor, " FOR UPDATE")
        there = self._forget(cursor, list(points))
        terms = sorted(  # as their index is: neighbours are written together
            (term, one.id, weight) for one in points.values() for term, weight in document_terms(one.text).items()
        )
        fields = [(one.id, *row) for one in points.values() for row in rows(one.metadata)]
        cursor.executemany(self._sql.upsert_points(), [self._row(point) for point in points.values()])
        if terms:
            cursor.execute(self._sql.insert_postings(), [list(column) for column in zip(*terms, strict=True)])
        if fields:
            cursor.execute(self._sql.insert_fields(), [list(column) for column in zip(*fields, strict=True)])
        self._counted(cursor, len(points) - there)

    def _delete(self, cursor: Cursor, ids: list[int]) -> None:
        self._points(cursor, " FOR UPDATE")
        self._forget(cursor, ids)
        cursor.execute(self._sql.delete(self._sql.points), (ids,))
        self._counted(cursor, -cursor.rowcount)

    def _forget(self, cursor: Cursor, ids: list[int]) -> int:
        """Removes the terms and metadata of these points; how many of them are there."""
        cursor.execute(f"SELECT id FROM {self._sql.points} WHERE id = ANY (%s)", (ids,))
        there = [row[0] for row in cursor.fetchall()]
        if there:
            cursor.execute(self._sql.delete(self._sql.postings), (there,))
            cursor.execute(self._sql.delete(self._sql.fields), (there,))
        return len(there)

    def _counted(self, cursor: Cursor, change: int) -> None:
        statement = f"UPDATE {REGISTRY} SET points = points + %s WHERE tenant = %s AND name = %s"
        cursor.execute(statement, (change, self._spec.tenant.encode(), self._spec.name))

    def _row(self, point: Point) -> tuple[object, ...]:
        allow = [user.encode() for user in point.access.allow]
        deny = [user.encode() for user in point.access.deny]
        vector = _literal(point.vector)
        return point.id, self._spec.tenant.encode(), allow, deny, vector

    def _search(self, cursor: Cursor, search: Search) -> Found:
        points = self._points(cursor)
        condition = walls(search, self._sql.fields)
        dense: tuple[Hit, ...] = ()
        lexical: tuple[Hit, ...] = ()
        if search.vector is not None:
            ef = min(MAX_EF, max(MIN_EF, search.limit))
            cursor.execute(f"SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {ef}")
            cursor.execute(f"SET LOCAL hnsw.max_scan_tuples = {SCANNED}")
            for everywhere in (False, True):
                statement, given = self._sql.nearest(condition, _literal(search.vector), search.limit, everywhere)
                cursor.execute(statement, given)
                dense = _hits(cursor)
                if len(dense) == search.limit:
                    break
        if search.text is not None and (terms := query_terms(search.text)):
            cursor.execute(*self._sql.lexical(condition, terms, points, search.limit))
            lexical = _hits(cursor)
        return Found(dense, lexical)


def _prepare(cursor: Cursor) -> None:
    """Finds pgvector wherever it was installed, or installs it, which needs a role that may."""
    import psycopg

    try:
        cursor.execute("SELECT pg_advisory_lock(%s)", (MAKING_LOCK,))
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        cursor.execute("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
        (where,) = cursor.fetchone()
        cursor.execute("SELECT set_config('search_path', quote_ident(current_schema()) || ',' || %s, false)", (where,))
        cursor.execute(MAKE_REGISTRY)
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile, psycopg.errors.InsufficientPrivilege):
        hint = "Install pgvector 0.8 or later there, and let Craton's role create tables."
        raise Unsupported("indexes in this PostgreSQL", hint) from None
    finally:
        cursor.execute("SELECT pg_advisory_unlock(%s)", (MAKING_LOCK,))


def _make(cursor: Cursor, spec: IndexSpec) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING_LOCK,))
    key = (spec.tenant.encode(), spec.name)
    cursor.execute(f"SELECT dimensions FROM {REGISTRY} WHERE tenant = %s AND name = %s", key)
    row = cursor.fetchone()
    if row is None:
        for statement in Statements(spec.tenant, spec.name, spec.dimensions).make():
            cursor.execute(statement)
        cursor.execute(f"INSERT INTO {REGISTRY} VALUES (%s, %s, %s, 0)", (*key, spec.dimensions))
    elif row[0] != spec.dimensions:
        raise Damaged("the index", "it was made for vectors of another kind")


def _drop(cursor: Cursor, spec: IndexSpec) -> None:
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MAKING_LOCK,))
    cursor.execute(f"DELETE FROM {REGISTRY} WHERE tenant = %s AND name = %s", (spec.tenant.encode(), spec.name))
    for table in Statements(spec.tenant, spec.name, spec.dimensions).tables:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")


def _literal(vector: bytes) -> str:
    return str(floats(vector))


def _hits(cursor: Cursor) -> tuple[Hit, ...]:
    hits = (Hit(number, float(score)) for number, score in cursor.fetchall())
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.id)))
