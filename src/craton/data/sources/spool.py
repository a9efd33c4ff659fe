"""What a listing read and a fetch will want, kept on disk: memory stays bounded whatever the source holds.

SQLite opens "" as a private file without a name, which is gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from craton.core.errors import StorageFull

BATCH = 1000


class Spool:
    """Keys and bytes, in the order of their first arrival. capacity: bytes that are kept at most.

    One thread at a time.
    """

    def __init__(self, capacity: int) -> None:
        self._left = capacity
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE items (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL);"
            "BEGIN;"
        )

    def put(self, key: str, value: bytes) -> bool:
        """Keeps or replaces; False when there is no room for it. Raises StorageFull."""
        if len(value) > self._left:
            return False
        self._left -= len(value)
        try:
            self._rows.execute(
                "INSERT INTO items (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )
        except sqlite3.OperationalError as error:
            raise StorageFull() from error
        return True

    def get(self, key: str) -> bytes | None:
        row = self._rows.execute("SELECT value FROM items WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def __contains__(self, key: str) -> bool:
        return self._rows.execute("SELECT 1 FROM items WHERE key = ?", (key,)).fetchone() is not None

    def items(self) -> Iterator[tuple[str, bytes]]:
        """In the order of arrival; what arrives meanwhile comes too."""
        last = 0
        while True:
            query = "SELECT number, key, value FROM items WHERE number > ? ORDER BY number LIMIT ?"
            rows = self._rows.execute(query, (last, BATCH)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (row[1:] for row in rows)

    def clear(self) -> None:
        self._rows.execute("DELETE FROM items")

    def close(self) -> None:
        self._rows.close()
