"""Run as a process: upgrades the database of the given URL; with "lean" it fails if that imported Alembic."""

from __future__ import annotations

import sys

from craton.store.database import Database
from craton.store.migrations import upgrade

database = Database(sys.argv[1])
upgrade(database)
database.close()
if "lean" in sys.argv and "alembic" in sys.modules:
    sys.exit("alembic was imported")
print("upgraded")
