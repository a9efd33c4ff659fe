"""kill -9 in the middle of work: what was acknowledged is there."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database

KILLS = 4


def test_killed_writers_lose_nothing_that_they_acknowledged(
    database: Database, tmp_path: Path, start_script: Callable[..., subprocess.Popen[str]]
) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE names (digest VARCHAR(64) PRIMARY KEY)"))
    acknowledged: set[str] = set()
    chance = random.Random(20)
    for kill in range(KILLS):
        writer = start_script("acknowledging_writer.py", url, str(tmp_path / "blobs"), f"writer {kill}")
        assert writer.stdout is not None
        acknowledged.add(writer.stdout.readline().strip())
        time.sleep(chance.uniform(0, 0.12))
        writer.kill()
        acknowledged.update(line.strip() for line in writer.stdout if len(line.strip()) == 64)
        writer.wait(timeout=10)
        writer.stdout.close()

    blobs = FolderBlobs(tmp_path / "blobs")
    with database.read() as connection:
        rows = set(connection.execute(text("SELECT digest FROM names")).scalars())
    assert len(acknowledged) >= KILLS
    assert acknowledged <= rows
    for digest in rows:
        assert sum(map(len, blobs.read(digest))) > 0  # read() verifies
