"""Blobs: named by what they hold, verified, complete or absent."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from craton.core.errors import Damaged, NotFound
from craton.store.blobs.folder import ABANDONED_AFTER, FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "home" / "blobs")


def damage(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_blob_is_named_by_its_sha256_and_comes_back(blobs: FolderBlobs) -> None:
    chunks = [b"one", b"", b"two" * 1_000_000]
    blob = blobs.put(iter(chunks))
    assert blob.digest == hashlib.sha256(b"".join(chunks)).hexdigest()
    assert blob.size == blobs.size(blob.digest) == 3_000_003
    assert b"".join(blobs.read(blob.digest)) == b"".join(chunks)
    assert blobs.path(blob.digest).read_bytes() == b"".join(chunks)


def test_the_empty_blob_is_a_blob(blobs: FolderBlobs) -> None:
    assert list(blobs.read(blobs.put([]).digest)) == []


def test_a_stored_file_is_a_copy(blobs: FolderBlobs, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_bytes(b"before")
    blob = blobs.put_file(file)
    file.write_bytes(b"after!")
    assert b"".join(blobs.read(blob.digest)) == b"before"


def test_only_the_owner_can_read_blobs_and_nobody_writes_them(blobs: FolderBlobs) -> None:
    path = blobs.path(blobs.put([b"secret"]).digest)
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_upload_that_is_not_what_was_promised_is_refused_and_leaves_nothing(
    blobs: FolderBlobs, tmp_path: Path
) -> None:
    promised = hashlib.sha256(b"good").hexdigest()
    with pytest.raises(Damaged):
        blobs.put([b"evil"], expected=promised)
    assert not blobs.exists(promised)
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []
    assert blobs.put([b"good"], expected=promised).digest == promised


def test_an_upload_that_breaks_off_leaves_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.put(broken())
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_damage_is_noticed_by_every_way_of_reading(blobs: FolderBlobs, tmp_path: Path) -> None:
    blob = blobs.put([b"weights"])
    damage(blobs.path(blob.digest))
    with pytest.raises(Damaged):
        list(blobs.read(blob.digest))
    with pytest.raises(Damaged):
        blobs.path(blob.digest)
    with pytest.raises(Damaged):
        FolderBlobs(tmp_path / "home" / "blobs").path(blob.digest)


def test_putting_the_bytes_again_repairs_a_damaged_blob(blobs: FolderBlobs) -> None:
    blob = blobs.put([b"weights"])
    damage(blobs.path(blob.digest))
    assert blobs.put([b"weights"]) == blob
    assert b"".join(blobs.read(blob.digest)) == b"weights"


@pytest.mark.parametrize("name", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 63 + "\n", "0" * 65, "0/" * 32])
def test_what_is_not_a_stored_digest_is_not_found(blobs: FolderBlobs, name: str) -> None:
    assert not blobs.exists(name)
    for ask in (blobs.read, blobs.path, blobs.size):
        with pytest.raises(NotFound):
            ask(name)


def test_a_killed_writers_leftovers_go_and_a_running_writers_file_stays(blobs: FolderBlobs, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "blobs"
    old, new = folder / "tmp" / "old", folder / "tmp" / "new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (0, time.time() - ABANDONED_AFTER - 60))
    kept = blobs.put([b"kept"])
    os.utime(blobs.path(kept.digest), (0, 0))
    again = FolderBlobs(folder)
    assert (old.exists(), new.exists()) == (False, True)
    assert b"".join(again.read(kept.digest)) == b"kept"


def test_threads_that_store_the_same_and_different_bytes_all_succeed(blobs: FolderBlobs) -> None:
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(blobs.put([b"%d" % (n % 4)] * 1000).digest))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16
    assert {b"".join(blobs.read(digest)) for digest in results} == {b"%d" % n * 1000 for n in range(4)}
