"""The files around a shard: which generation is the current one, and whether all that was written is on the disk.

An index is a folder: `current` (JSON) names the generation, a folder with one Qdrant shard; `unflushed` is there from
the first write until everything is forced to the disk, and says in which run of the machine that was. A killed process
loses nothing, for what it wrote is in the page cache; a machine that went down meanwhile has lost it, and then the
index says that it is damaged instead of silently lacking points that its owner believes to be there.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged

CURRENT = "current"
UNFLUSHED = "unflushed"
FORMAT = 1

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Current(Struct, frozen=True):
    """built: the points that it held when it was optimised last. restricted: some point has, or had, an access list."""

    generation: str
    dimensions: int
    tenant: str
    built: int = 0
    restricted: bool = False
    format: int = FORMAT


def this_boot() -> str:
    """The same until the machine goes down; where it cannot be known, nothing is ever the same."""
    with suppress(OSError):
        return _BOOT_ID.read_text("ascii").strip()
    return uuid.uuid4().hex


def read_current(folder: Path) -> Current | None:
    """None when no index is there. Raises Damaged."""
    try:
        current = msgspec.json.decode((folder / CURRENT).read_bytes(), type=Current)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged("the index", f"its description cannot be read ({type(error).__name__})") from None
    if current.format != FORMAT or not (folder / current.generation).is_dir():
        raise Damaged("the index", "its files are of another format or gone")
    return current


def write_current(folder: Path, current: Current) -> None:
    """Atomic and on the disk when this returns."""
    write_durably(folder / CURRENT, msgspec.json.encode(current))


def write_durably(path: Path, data: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lost_writes(folder: Path) -> bool:
    """Whether the machine went down while something was not yet on the disk."""
    try:
        return (folder / UNFLUSHED).read_text("ascii", "replace") != this_boot()
    except FileNotFoundError:
        return False


def sweep_generations(folder: Path, keep: str) -> None:
    """Removes what optimising left when it was killed."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != keep:
            shutil.rmtree(path, ignore_errors=True)


def copy_shard(source: Path, target: Path) -> None:
    """Files that were set aside but never written take no room in the copy either."""
    shutil.copytree(source, target, copy_function=_copy_sparse)


def _copy_sparse(source: str, target: str) -> None:
    with open(source, "rb") as reading, open(target, "wb") as writing:
        size = os.fstat(reading.fileno()).st_size
        at = 0
        while at < size:
            try:
                begin = os.lseek(reading.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole to the end
                break
            at = os.lseek(reading.fileno(), begin, os.SEEK_HOLE)
            _copy_range(reading.fileno(), writing.fileno(), begin, at)
        writing.truncate(size)


def _copy_range(reading: int, writing: int, begin: int, end: int) -> None:
    os.lseek(reading, begin, os.SEEK_SET)
    os.lseek(writing, begin, os.SEEK_SET)
    while begin < end:
        data = os.read(reading, min(1 << 20, end - begin))
        if not data:
            return
        os.write(writing, data)
        begin += len(data)
