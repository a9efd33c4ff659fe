"""The files of a folder as keys, in the order that S3 lists them: by code points of whole keys.

One folder's names are in memory at a time. Symbolic links are passed over: they could lead out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from heapq import heapify, heappop
from pathlib import Path
from stat import S_ISREG

from msgspec import Struct

from craton.buckets.paths import part_of


class Found(Struct, frozen=True):
    """A file; or, with a delimiter, a folder that holds some (key ends in "/", size and modified are 0)."""

    key: str
    size: int = 0
    modified: int = 0  # nanoseconds

    @property
    def is_folder(self) -> bool:
        return self.modified == 0


def walk(root: Path, prefix: str = "", after: str = "", *, folders: bool = False) -> Iterator[Found]:
    """Files whose key begins with prefix and comes after `after`.

    folders: what lies deeper than the prefix's folder is told as that folder, once. A folder that vanishes meanwhile is
    passed over.
    """
    return _walk(root, "", prefix, after, folders)


def _walk(folder: Path, base: str, prefix: str, after: str, folders: bool) -> Iterator[Found]:
    for key, name, is_folder in _entries(folder, base, prefix, after):
        if is_folder:
            if not (key.startswith(prefix) or prefix.startswith(key)) or (after >= key and not after.startswith(key)):
                continue
            if folders and key.startswith(prefix) and key != prefix:
                if key > after and next(_walk(folder / name, key, key, "", False), None) is not None:
                    yield Found(key)
                continue
            yield from _walk(folder / name, key, prefix, after, folders)
        elif key.startswith(prefix) and key > after:
            try:
                seen = os.lstat(folder / name)
            except OSError:
                continue
            if S_ISREG(seen.st_mode):
                yield Found(key, seen.st_size, max(1, seen.st_mtime_ns))


def _entries(folder: Path, base: str, prefix: str, after: str) -> Iterator[tuple[str, str, bool]]:
    """Key, name, whether it is a folder (its key ends in "/"); in the order of the keys below them.

    What comes before `after`, or has another prefix, is passed over at once, and only what is asked for is put in
    order: the pages of a large folder's listing read its names again each time.
    """
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                part = part_of(entry.name)
                if part is None:
                    continue
                key = base + part
                below = f"{key}/"
                if below <= after and not after.startswith(below):
                    continue
                if not (below.startswith(prefix) or prefix.startswith(below)) or entry.is_symlink():
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                found.append((below if is_folder else key, entry.name, is_folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    heapify(found)
    while found:
        yield heappop(found)
