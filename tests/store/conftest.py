"""Disks that record what is done to them, that fail on demand, and that lose power."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from craton.store.files import Files


class RecordingFiles(Files):
    """Does the real thing and remembers it, inode by inode, so that a crash can be replayed at any point."""

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []
        self._next = 0
        self._inodes: dict[int, int] = {}

    def make_folder(self, folder: Path) -> None:
        new = not folder.is_dir()
        super().make_folder(folder)
        if new:
            self.log.append(("add", folder, None))

    def create(self, path: Path, mode: int = 0o600) -> int:
        handle = super().create(path, mode)
        self._next += 1
        self._inodes[handle] = self._next
        self.log.append(("add", path, self._next))
        return handle

    def write(self, handle: int, data: bytes) -> None:
        super().write(handle, data)
        self.log.append(("write", self._inodes[handle], bytes(data)))

    def sync(self, handle: int) -> None:
        self.log.append(("sync", self._inodes[handle]))

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.log.append(("rename", source, target))

    def sync_folder(self, folder: Path) -> None:
        self.log.append(("sync_folder", folder))

    def unlink(self, path: Path) -> None:
        there = path.exists()
        super().unlink(path)
        if there:
            self.log.append(("remove", path))

    def note(self, *event: object) -> None:
        """An event of the test's own, at this point of the log."""
        self.log.append(event)


class Crash:
    """What is left of a recorded disk when the power goes after some operations.

    The medium holds what was synced. Of what was not, nothing is left (chance None), or any part: each un-synced
    change of a folder, and any prefix of each file's un-synced bytes, on their own, as no order is promised.
    """

    def __init__(self, log: list[tuple[object, ...]], chance: random.Random | None) -> None:
        self._chance = chance
        self._bytes: dict[object, bytearray] = {}
        self._synced: dict[object, int] = {}
        self._now: dict[Path, object] = {}  # names as a running system sees them
        self._medium: dict[Path, object] = {}  # names that are on the medium
        self._pending: dict[Path, object] = {}  # un-synced changes: path -> inode, or "gone"
        for event in log:
            self._apply(event)
        for path, inode in self._pending.items():
            if chance and chance.random() < 0.5:
                self._settle(path, inode)

    def _apply(self, event: tuple[object, ...]) -> None:
        match event:
            case ("add", Path() as path, inode):
                self._change(path, inode)
                self._bytes.setdefault(inode, bytearray())
            case ("write", inode, bytes() as data):
                self._bytes[inode] += data
            case ("sync", inode):
                self._synced[inode] = len(self._bytes[inode])
            case ("rename", Path() as source, Path() as target):
                inode = self._now[source]
                self._change(source, "gone")
                self._change(target, inode)
            case ("remove", Path() as path):
                self._change(path, "gone")
            case ("sync_folder", Path() as folder):
                for path in [path for path in self._pending if path.parent == folder]:
                    self._settle(path, self._pending.pop(path))

    def _change(self, path: Path, inode: object) -> None:
        self._now[path] = self._pending[path] = inode

    def _settle(self, path: Path, inode: object) -> None:
        if inode == "gone":
            self._medium.pop(path, None)
        else:
            self._medium[path] = inode

    def restore(self, root: Path, target: Path) -> None:
        """The surviving tree below `root`, written to `target`."""
        target.mkdir()
        for path, inode in sorted(self._medium.items()):
            copy = target / path.relative_to(root)
            if not copy.parent.is_dir():
                continue  # its folder did not survive
            if inode is None:
                copy.mkdir()
            else:
                whole, synced = self._bytes[inode], self._synced.get(inode, 0)
                kept = synced if self._chance is None else self._chance.randint(synced, len(whole))
                copy.write_bytes(whole[:kept])


class FailingFiles(Files):
    """Operation number `fail_at` (from 0) fails with this errno. `done` names the operations so far."""

    def __init__(self, fail_at: int, errno: int) -> None:
        self.fail_at, self.errno, self.done = fail_at, errno, list[str]()

    def _step(self, name: str) -> None:
        self.done.append(name)
        if len(self.done) - 1 == self.fail_at:
            raise OSError(self.errno, os.strerror(self.errno))

    def make_folder(self, folder: Path) -> None:
        self._step("make_folder")
        super().make_folder(folder)

    def create(self, path: Path, mode: int = 0o600) -> int:
        self._step("create")
        return super().create(path, mode)

    def write(self, handle: int, data: bytes) -> None:
        self._step("write")
        super().write(handle, data)

    def sync(self, handle: int) -> None:
        self._step("sync")

    def close(self, handle: int) -> None:
        super().close(handle)
        self._step("close")

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")


@pytest.fixture
def recording() -> RecordingFiles:
    return RecordingFiles()


@pytest.fixture
def crash() -> type[Crash]:
    return Crash


@pytest.fixture
def failing() -> type[FailingFiles]:
    return FailingFiles


@pytest.fixture
def start_script() -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python script of this folder, with Craton importable, its output readable line by line."""

    def start(name: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / name), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    return start
