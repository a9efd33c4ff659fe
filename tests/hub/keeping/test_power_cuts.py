"""Uploads and commits on a recorded disk: whenever the power goes, the bytes that committed rows name are there."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from craton.core.errors import Damaged, NotFound
from craton.core.repo import Add
from craton.hub.tables import stored
from craton.hub.uploads import Upload, Uploads
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from craton.store.files import Files
from tests.hub.keeping.conftest import REPO, World
from tests.store.conftest import Crash, RecordingFiles

PART = 600


class Quick(Files):
    """For reading what a crash left: nothing more will be lost."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, folder: Path) -> None: ...


def record(disk: Path, rows: Path) -> RecordingFiles:
    """Files come in every way and are committed. ("row", digest): from here on a committed row names the blob."""
    files = RecordingFiles()
    files.make_folder(disk / "home")
    files.sync_folder(disk)
    database = Database.at(rows)
    world = World(database, disk / "home" / "blobs", FolderBlobs(disk / "home" / "blobs", files))
    uploads = Uploads(database, world.blobs, disk / "home" / "uploads", world.clock, files)
    known: set[str] = set()

    def note() -> None:
        """Called when a call has returned, so when what it says is acknowledged."""
        with database.read() as connection:
            found = set(connection.scalars(select(stored.c.digest)))
        for digest in sorted(found - known):
            files.note("row", digest)
        known.update(found)

    world.hub.create("red", REPO)
    for number in range(3):
        content = bytes([number]) * 700
        digest = world.add("red", content, f"{number}.bin")
        note()
        assert digest in known
    list(world.hub.store_small("red", [b"small %d" % number for number in range(4)]))
    note()
    large = random.Random(1).randbytes(2 * PART + 100)
    upload = Upload(sha256(large).hexdigest(), len(large), PART)
    etags = [
        uploads.put("red", upload, number, [large[(number - 1) * PART : number * PART]])
        for number in range(1, upload.parts + 1)
    ]
    file = uploads.complete("red", upload, etags)
    note()
    world.commit("red", [Add("large.bin", file.digest, file.size)])
    note()
    database.close()
    return files


def broken(log: list[tuple[object, ...]], disk: Path, scratch: Path) -> int:
    """Cuts the power after every operation, several ways; counts rows whose bytes are missing or torn."""
    count = 0
    for seed in (None, 1, 2):
        for cut in range(len(log) + 1):
            left = scratch / f"{seed}-{cut}"
            Crash(log[:cut], None if seed is None else random.Random(seed * 1000 + cut)).restore(disk, left)
            blobs = FolderBlobs(left / "home" / "blobs", Quick())
            for happened in log[:cut]:
                if happened[0] == "row":
                    try:
                        for _ in blobs.read(str(happened[1])):
                            pass
                    except (NotFound, Damaged):
                        count += 1
    return count


def test_what_was_committed_survives_every_power_cut(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "scratch").mkdir()
    log = record(tmp_path / "disk", tmp_path / "craton.db").log
    assert sum(it[0] == "row" for it in log) == 8
    assert broken(log, tmp_path / "disk", tmp_path / "scratch") == 0


@pytest.mark.parametrize("skipped", ["sync", "sync_folder"])
def test_the_cut_would_show_a_missing_fsync(tmp_path: Path, skipped: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "scratch").mkdir()
    log = record(tmp_path / "disk", tmp_path / "craton.db").log
    assert broken([it for it in log if it[0] != skipped], tmp_path / "disk", tmp_path / "scratch") > 0
