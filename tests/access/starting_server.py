"""Run as a process: what a first start does. Arguments: database URL, home. Prints "made" or "found"."""

from __future__ import annotations

import sys
from pathlib import Path

from craton.access.keys import Keys
from craton.access.root import ensure_root, load_master
from craton.store.database import Database
from craton.store.migrations import upgrade

url, home = sys.argv[1], Path(sys.argv[2])
database = Database(url)
upgrade(database)
print("made" if ensure_root(home, Keys(database, load_master(home))) else "found")
database.close()
