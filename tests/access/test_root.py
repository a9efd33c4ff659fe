"""The first start makes one root key, readable by nobody else at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from craton.access.keys import Keys
from craton.access.root import ensure_root, load_master
from craton.core.access import Caller, KeyRole
from craton.core.errors import Damaged, StorageFull, Unauthenticated
from craton.store.database import Database
from craton.store.files import Files
from tests.migrated import upgrade


class WatchingFiles(Files):
    """Remembers the mode that each file is made with."""

    def __init__(self) -> None:
        self.modes: list[int] = []

    def create(self, path: Path, mode: int = 0o600) -> int:
        handle = super().create(path, mode)
        self.modes.append(os.fstat(handle).st_mode & 0o777)
        return handle


class NoRename(Files):
    def rename(self, source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def empty(database: Database) -> Database:
    upgrade(database)
    return database


def test_the_root_key_is_made_once_and_works(empty: Database, tmp_path: Path) -> None:
    files, home = WatchingFiles(), tmp_path / "home"
    keys = Keys(empty, load_master(home, files))
    new = ensure_root(home, keys, files)
    assert new is not None
    assert keys.verify_token(new.token) == Caller("default", new.key_id, KeyRole.ROOT, "root")
    assert (home / "root.key").read_text() == new.token + "\n"
    assert files.modes == [0o600, 0o600]
    assert sorted((path.name, path.stat().st_mode & 0o777) for path in home.iterdir()) == [
        ("master.key", 0o600),
        ("root.key", 0o600),
    ]
    again = Keys(empty, load_master(home))
    assert ensure_root(home, again) is None
    assert again.verify_token(new.token).role is KeyRole.ROOT


def test_a_revoked_root_key_is_replaced_at_the_next_start(empty: Database, tmp_path: Path) -> None:
    keys = Keys(empty, load_master(tmp_path))
    lost = ensure_root(tmp_path, keys)
    assert lost is not None
    keys.revoke("default", lost.key_id)
    new = ensure_root(tmp_path, keys)
    assert new is not None
    assert (tmp_path / "root.key").read_text().strip() == new.token != lost.token
    with pytest.raises(Unauthenticated):
        keys.verify_token(lost.token)


def test_two_first_starts_make_one_root_key_and_one_master(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    script = str(Path(__file__).with_name("starting_server.py"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    starts = [
        subprocess.Popen(
            [sys.executable, script, url, str(tmp_path / "home")], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    assert sorted(start.communicate(timeout=60)[0].strip() for start in starts) == ["found", "made"]
    keys = Keys(database, load_master(tmp_path / "home"))
    assert keys.verify_token((tmp_path / "home" / "root.key").read_text().strip()).role is KeyRole.ROOT
    assert len(keys.list("default")) == 1


def test_a_full_disk_leaves_no_half_made_root_key(empty: Database, tmp_path: Path) -> None:
    keys = Keys(empty, load_master(tmp_path))
    with pytest.raises(StorageFull):
        ensure_root(tmp_path, keys, NoRename())
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".key"] == ["master.key"]
    with empty.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM access_keys")).scalar_one() == 0
    assert ensure_root(tmp_path, keys) is not None


def test_a_lost_master_is_told_instead_of_refusing_every_key(empty: Database, tmp_path: Path) -> None:
    ensure_root(tmp_path, Keys(empty, load_master(tmp_path)))
    (tmp_path / "master.key").unlink()
    with pytest.raises(Damaged):
        ensure_root(tmp_path, Keys(empty, load_master(tmp_path)))


@pytest.mark.parametrize("content", [b"", b"not hex", b"\xff\xfe", b"00" * 31])
def test_a_broken_master_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "master.key").write_bytes(content)
    with pytest.raises(Damaged):
        load_master(tmp_path)


def test_a_master_that_others_can_read_is_closed(tmp_path: Path) -> None:
    master = load_master(tmp_path)
    (tmp_path / "master.key").chmod(0o644)
    assert load_master(tmp_path) == master
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
