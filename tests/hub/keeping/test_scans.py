"""Pickles are flagged and never loaded; broken weights are kept, and told as broken."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from craton.core.repo import Add
from craton.hub.contents import Contents
from craton.hub.keeping.scanning import Scanner
from craton.hub.keeping.scans import QUEUED, UNSCANNED, SecurityScans
from craton.hub.repositories import Hub
from craton.store.database import Database
from tests.hub.keeping.conftest import REPO, World

MARK = "CRATON_TEST_MARK"


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch ${MARK}",)


def torch_file(content: bytes) -> bytes:
    """As torch.save makes them: a zip with a pickle in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", b"\0" * 64)
        archive.writestr("archive/version", b"3\n")
    return packed.getvalue()


def bomb() -> bytes:
    """256 MiB of pickle in 256 KB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as member:
        member.write(b"\x80\x02B" + (0x10000000).to_bytes(4, "little"))
        for _ in range(256):
            member.write(b"\0" * 2**20)
        member.write(b".")
    return packed.getvalue()


FILES = {
    "evil.pkl": (pickle.dumps(Evil()), "unsafe"),
    "old.pkl": (pickle.dumps(Evil(), protocol=0), "unsafe"),
    "pytorch_model.bin": (torch_file(pickle.dumps(Evil())), "unsafe"),
    "fine.pt": (torch_file(pickle.dumps({"a": [1, 2, 3]})), "safe"),
    "cut.pkl": (pickle.dumps(list(range(1000)))[:-500], "error"),
    "raw.bin": (b"\x00\x01\x02 no pickle", "unscanned"),
    "model.safetensors": (b"\xff" * 100, "error"),
    "model.gguf": (b"GGUF\x03\x00", "error"),
}


@pytest.fixture
def scans(tmp_path: Path) -> Iterator[tuple[World, SecurityScans, Scanner]]:
    """On SQLite alone: every file is a process, and none of it turns on the database."""
    database = Database.at(tmp_path / "craton.db")
    world = World(database, tmp_path / "blobs")
    found = SecurityScans(database, world.clock)
    world.hub = Hub(database, world.blobs, world.clock, (found.hear,))
    yield world, found, Scanner(database, world.blobs, world.clock)
    database.close()


def test_what_files_are_is_found_after_the_commit_and_nothing_is_run(
    scans: tuple[World, SecurityScans, Scanner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, found, scanner = scans
    monkeypatch.setenv(MARK, str(tmp_path / "it-ran"))
    world.hub.create("red", REPO)
    adds = []
    for path, (content, _) in {**FILES, "README.md": (b"hello", "")}.items():
        stored = world.hub.store("red", [content], len(content))
        adds.append(Add(path, stored.digest, stored.size))
    world.commit("red", list(adds))
    entries = Contents(world.database).files("red", REPO, "main", 100).items
    before = found.status(entries)
    assert {before[path] for path in FILES} == {QUEUED}
    assert before["README.md"] == UNSCANNED
    assert scanner.work() == len(FILES)
    after = found.status(entries)
    assert {path: after[path].status for path in FILES} == {path: status for path, (_, status) in FILES.items()}
    assert [(it.module, it.name, it.safety) for it in after["evil.pkl"].imports] in (
        [("posix", "system", "dangerous")],
        [("nt", "system", "dangerous")],
    )
    assert after["model.safetensors"].message
    assert not (tmp_path / "it-ran").exists()
    assert scanner.work() == 0
    world.add("red", b"more text", "more.txt")
    assert scanner.work() == 0, "only what a commit changed is looked at"


def test_a_bomb_ends_its_own_process_and_is_told(tmp_path: Path) -> None:
    world = World(Database.at(tmp_path / "craton.db"), tmp_path / "blobs")
    path = tmp_path / "bomb.pt"
    path.write_bytes(bomb())
    assert Scanner(world.database, world.blobs, memory=64 * 2**20).scan(path, "pickle").status == "error"
    world.database.close()
