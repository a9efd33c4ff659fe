"""A database with today's tables, made the quick way: what the migrations said once in this process is said again.

`store.migrations.upgrade` takes 0.2 s of processor time, most of it in Alembic, and hundreds of tests begin with it.
tests/store tests the migrations themselves.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event

from craton.store import migrations
from craton.store.database import Database


def upgrade(database: Database) -> None:
    """As `store.migrations.upgrade`, for a database that is empty or up to date."""
    with database.read() as connection:
        stored = migrations.stored_revision(connection)
    if stored == migrations.HEAD:
        return
    assert stored is None, "only empty databases are made this way"
    statements = _sqlite_statements() if database.is_sqlite else _recorded(database)
    if not statements:
        return  # they were just recorded, on this database
    with database.write() as connection:
        if database.is_sqlite:
            for statement in statements:
                connection.exec_driver_sql(statement)
        else:
            connection.exec_driver_sql(";\n".join(statements))


@cache
def _sqlite_statements() -> tuple[str, ...]:
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'made.db'}")
        statements = _record(database)
        database.close()
    return statements


_POSTGRES: list[str] = []


def _recorded(database: Database) -> tuple[str, ...]:
    if _POSTGRES:
        return tuple(_POSTGRES)
    _POSTGRES.extend(_record(database))
    return ()


def _record(database: Database) -> tuple[str, ...]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(("CREATE", "ALTER", "INSERT", "UPDATE", "DROP", "DELETE")):
            assert not parameters, "a migration with bound values cannot be said again as it stands"
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        migrations.upgrade(database)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return tuple(statements)
