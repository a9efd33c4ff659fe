"""What a full disk, a failing disk and a power cut may do to blobs, and what they may not."""

from __future__ import annotations

import random
from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path
from typing import Any

import pytest

from craton.core.errors import Damaged, NotFound, StorageFull
from craton.store.blobs.folder import FolderBlobs
from craton.store.files import Files

CHUNKS = [b"a" * 1000, b"b" * 1000]


class QuickFiles(Files):
    """For reading what a crash left: nothing more will be lost."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, folder: Path) -> None: ...


def steps(failing: Any, folder: Path) -> list[str]:
    files = failing(fail_at=-1, errno=0)
    FolderBlobs(folder, files)
    opened = len(files.done)
    FolderBlobs(folder, files).put(CHUNKS)
    return list(files.done[opened:])


def test_a_put_takes_these_steps_in_this_order(failing: Any, tmp_path: Path) -> None:
    assert steps(failing, tmp_path / "blobs") == [
        *("make_folder", "sync_folder", "make_folder", "sync_folder"),  # the store's own two folders
        *("create", "write", "write", "sync", "close"),
        *("make_folder", "sync_folder", "rename", "sync_folder"),
    ]


@pytest.mark.parametrize("errno", [ENOSPC, EDQUOT, EIO])
def test_a_disk_that_fails_at_any_step_is_told_and_nothing_half_done_stays(
    failing: Any, tmp_path: Path, errno: int
) -> None:
    for step, name in enumerate(steps(failing, tmp_path / "rehearsal")):
        folder = tmp_path / f"{step}"
        whole = FolderBlobs(folder, QuickFiles()).put([b"older"])
        files = failing(fail_at=step, errno=errno)
        with pytest.raises(StorageFull):
            FolderBlobs(folder, files).put(CHUNKS)
        assert list((folder / "tmp").iterdir()) == [], name
        after = FolderBlobs(folder, QuickFiles())
        assert b"".join(after.read(whole.digest)) == b"older"
        assert b"".join(after.read(after.put(CHUNKS).digest)) == b"".join(CHUNKS), name


def test_a_full_disk_heals_but_a_failed_fsync_stops_the_store_until_a_restart(failing: Any, tmp_path: Path) -> None:
    sync = steps(failing, tmp_path / "rehearsal").index("sync")
    full = FolderBlobs(tmp_path / "full", files := failing(fail_at=sync, errno=ENOSPC))
    with pytest.raises(StorageFull):
        full.put(CHUNKS)
    assert full.put(CHUNKS).size == 2000

    broken = FolderBlobs(tmp_path / "broken", files := failing(fail_at=sync, errno=EIO))
    with pytest.raises(StorageFull):
        broken.put(CHUNKS)
    before = len(files.done)
    with pytest.raises(StorageFull):
        broken.put(CHUNKS)
    assert len(files.done) == before, "nothing was tried again"
    assert FolderBlobs(tmp_path / "broken", QuickFiles()).put(CHUNKS).size == 2000


def record(recording: Any, root: Path) -> None:
    """Two stores over one folder, as two processes have; ("row", digest, bytes): from here on a row names the blob."""
    home = root / "home"
    recording.make_folder(home)
    recording.sync_folder(root)
    stores = [FolderBlobs(home / "blobs", recording), FolderBlobs(home / "blobs", recording)]
    contents = [bytes([n]) * 700 for n in range(6)]
    for number, content in enumerate([*contents, contents[0], contents[3]]):
        blob = stores[number % 2].put([content[:300], content[300:]])
        recording.note("row", blob.digest, content)


def broken_promises(log: list[tuple[object, ...]], crash: Any, root: Path, scratch: Path) -> int:
    """Cuts the power after every operation, several ways, and counts rows whose blob is missing or torn."""
    broken = 0
    for seed in (None, 1, 2, 3):
        for cut in range(len(log) + 1):
            left = scratch / f"{seed}-{cut}"
            crash(log[:cut], None if seed is None else random.Random(seed * 1000 + cut)).restore(root, left)
            blobs = FolderBlobs(left / "home" / "blobs", QuickFiles())
            for event in log[:cut]:
                if event[0] == "row":
                    _, digest, content = event
                    try:
                        broken += b"".join(blobs.read(str(digest))) != content
                    except (NotFound, Damaged):
                        broken += 1
    return broken


def test_a_row_never_names_a_blob_that_a_power_cut_took_or_tore(recording: Any, crash: Any, tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    record(recording, root)
    (tmp_path / "scratch").mkdir()
    assert sum(event[0] == "row" for event in recording.log) == 8
    assert broken_promises(recording.log, crash, root, tmp_path / "scratch") == 0


@pytest.mark.parametrize("skipped", ["sync", "sync_folder"])
def test_the_power_cut_would_show_a_missing_fsync(recording: Any, crash: Any, tmp_path: Path, skipped: str) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    record(recording, root)
    (tmp_path / "scratch").mkdir()
    careless = [event for event in recording.log if event[0] != skipped]
    assert broken_promises(careless, crash, root, tmp_path / "scratch") > 0
