"""Many rows at once, by a statement compiled once: SQLAlchemy would work out each row's parameters anew, which takes
longer than inserting them."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert


class Insert:
    """rows: a value for every column of the table, by its name."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        compiled = insert(table).compile(dialect=dialect)
        self._statement = str(compiled)
        self._order = itemgetter(*compiled.positiontup) if compiled.positiontup else None

    def __call__(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        connection.exec_driver_sql(self._statement, [self._order(row) for row in rows] if self._order else rows)
