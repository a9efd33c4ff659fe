"""Run as a process, to be killed: stores a blob, commits a row that names it, prints its digest; again and again.

Arguments: database URL, blob folder, a name that makes the contents differ.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from sqlalchemy import text

from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database

url, folder, name = sys.argv[1:]
database, blobs = Database(url), FolderBlobs(Path(folder))
for number in itertools.count():
    blob = blobs.put([f"{name} {number} ".encode() * 2000])
    with database.write() as connection:
        connection.execute(text("INSERT INTO names VALUES (:digest)"), {"digest": blob.digest})
    print(blob.digest, flush=True)
