"""Run as a process: counts one row up and inserts rows of its own. Arguments: database URL, own name, how often."""

from __future__ import annotations

import sys

from sqlalchemy import text

from craton.store.database import Database

url, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
database = Database(url)
for number in range(times):
    with database.write() as connection:
        value = connection.execute(text("SELECT value FROM counter")).scalar_one()
        connection.execute(text("INSERT INTO entries VALUES (:writer, :number)"), {"writer": name, "number": number})
        connection.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})
database.close()
