"""Large files in parts: what was acknowledged is there after a kill, and nothing else ever becomes a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from craton.core.errors import InvalidRequest
from craton.hub.uploads import ABANDONED_AFTER, Upload, Uploads
from craton.store.blobs.folder import FolderBlobs
from craton.store.database import Database
from tests.migrated import upgrade

CONTENT = bytes(range(256)) * 10
UPLOAD = Upload(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), 1000)
PARTS = [CONTENT[start : start + 1000] for start in range(0, len(CONTENT), 1000)]


class Setting:
    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.database = Database.at(folder / "craton.db")
        upgrade(self.database)
        self.blobs = FolderBlobs(folder / "blobs")
        self.uploads = self.opened()

    def opened(self) -> Uploads:
        """As another process, or this one after a restart, has them."""
        return Uploads(self.database, self.blobs, self.folder / "uploads", lambda: self.now)

    def files(self) -> list[Path]:
        return [it for it in (self.folder / "uploads").rglob("*") if it.is_file()]


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.database.close()


def test_an_upload_goes_on_where_another_process_left_it(setting: Setting) -> None:
    etags = {number: setting.uploads.put("ada", UPLOAD, number, [PARTS[number - 1]]) for number in (3, 1)}
    after = setting.opened()
    assert after.waiting("ada") == 560 + 1000
    etags[2] = after.put("ada", UPLOAD, 2, [PARTS[1][:10], PARTS[1][10:]])
    file = after.complete("ada", UPLOAD, [etags[number] for number in (1, 2, 3)])
    assert b"".join(setting.blobs.read(file.digest)) == CONTENT
    assert (file.digest, file.size, setting.files()) == (UPLOAD.digest, len(CONTENT), [])
    assert after.complete("ada", UPLOAD, []) == file  # the answer was lost, the client asks again
    assert after.stored("eve", UPLOAD.digest) is None


def test_parts_are_nobody_elses(setting: Setting) -> None:
    etags = [setting.uploads.put("ada", UPLOAD, number, [part]) for number, part in enumerate(PARTS, 1)]
    with pytest.raises(InvalidRequest, match="part 1 was not uploaded"):
        setting.uploads.complete("eve", UPLOAD, etags)
    assert setting.uploads.waiting("eve") == 0


@pytest.mark.parametrize("number", [0, 4, -1])
def test_numbers_of_no_part_are_refused(setting: Setting, number: int) -> None:
    with pytest.raises(InvalidRequest):
        setting.uploads.put("ada", UPLOAD, number, [b""])


@pytest.mark.parametrize("content", [b"", PARTS[0][:-1], PARTS[0] + b"x"])
def test_parts_of_a_wrong_length_are_not_kept(setting: Setting, content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        setting.uploads.put("ada", UPLOAD, 1, [content])
    assert setting.files() == []


def test_a_part_that_breaks_off_leaves_the_one_before(setting: Setting) -> None:
    etag = setting.uploads.put("ada", UPLOAD, 1, [PARTS[0]])

    def broken() -> Iterator[bytes]:
        yield PARTS[0][:500]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        setting.uploads.put("ada", UPLOAD, 1, broken())
    assert [it.name for it in setting.files()] == [f"1.{etag}"]


@pytest.mark.parametrize("etag", ["../../../etc/passwd", "x" * 64, "", "0" * 64])
def test_an_etag_that_was_not_given_out_names_nothing(setting: Setting, etag: str) -> None:
    etags = [setting.uploads.put("ada", UPLOAD, number, [part]) for number, part in enumerate(PARTS, 1)]
    with pytest.raises(InvalidRequest, match="part 2"):
        setting.uploads.complete("ada", UPLOAD, [etags[0], etag, etags[2]])
    with pytest.raises(InvalidRequest, match="3 parts"):
        setting.uploads.complete("ada", UPLOAD, etags[:2])
    assert setting.uploads.complete("ada", UPLOAD, etags).digest == UPLOAD.digest


def test_parts_of_another_file_are_refused_and_forgotten(setting: Setting) -> None:
    wrong = [*PARTS[:2], b"!" + PARTS[2][1:]]
    etags = [setting.uploads.put("ada", UPLOAD, number, [part]) for number, part in enumerate(wrong, 1)]
    with pytest.raises(InvalidRequest, match="do not make the file"):
        setting.uploads.complete("ada", UPLOAD, etags)
    assert setting.files() == []
    assert not setting.blobs.exists(UPLOAD.digest)


def test_what_was_left_alone_is_removed(setting: Setting) -> None:
    setting.uploads.put("ada", UPLOAD, 1, [PARTS[0]])
    folder = setting.files()[0].parent
    written = folder.stat().st_mtime
    setting.now = written + ABANDONED_AFTER - 60
    setting.uploads.sweep()
    assert len(setting.files()) == 1
    os.utime(folder, (written, written))
    setting.now = written + ABANDONED_AFTER + 60
    setting.uploads.sweep()
    assert list((setting.folder / "uploads").iterdir()) == []
