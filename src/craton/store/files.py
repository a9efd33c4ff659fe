"""The file operations that durability rests on, one method each, so that tests can record them or make them fail."""

from __future__ import annotations

import fcntl
import os
from errno import EDQUOT, ENOSPC
from pathlib import Path
from secrets import token_hex

from craton.core.errors import StorageFull

FULL = frozenset({ENOSPC, EDQUOT})
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


class Files:
    """Plain calls to the operating system; all raise OSError. Handles are file descriptors."""

    def make_folder(self, folder: Path) -> None:
        """One folder, only for its owner; no error when it is there already."""
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)

    def create(self, path: Path, mode: int = PRIVATE_FILE) -> int:
        """A new file opened for writing; FileExistsError when there is one. The mode holds from the first moment."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

    def write(self, handle: int, data: bytes) -> None:
        """All of data, however many calls that takes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def begin_sync(self, handle: int, start: int, size: int) -> None:
        """The kernel begins to bring these bytes to the medium and waits for nothing, so that `sync` has less to do."""
        if hasattr(os, "posix_fadvise"):  # Linux: what is dirty is written out; what is clean is also dropped
            os.posix_fadvise(handle, start, size, os.POSIX_FADV_DONTNEED)

    def sync(self, handle: int) -> None:
        """Returns when the file's bytes are on the medium."""
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's own cache
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        else:
            os.fsync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Atomic; replaces target."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """A second name for source; FileExistsError when target is there. Atomic."""
        os.link(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Returns when the folder's names are on the medium."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def unlink(self, path: Path) -> None:
        """No error when it is gone already."""
        path.unlink(missing_ok=True)


def make_folders(files: Files, folder: Path) -> None:
    """The folder and its missing parents, each private and its name on the medium."""
    if folder.is_dir():
        return
    make_folders(files, folder.parent)
    files.make_folder(folder)
    files.sync_folder(folder.parent)


def write_file(files: Files, path: Path, data: bytes, *, replace: bool) -> bool:
    """A small private file, complete or absent, on the medium when this returns.

    replace: False leaves a file that is there already alone. Returns whether this call wrote it.
    Raises StorageFull, and OSError for what is not the disk's fault.
    """
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        handle = files.create(temporary)
        try:
            files.write(handle, data)
            files.sync(handle)
        finally:
            files.close(handle)
        if replace:
            files.rename(temporary, path)
        else:
            files.link(temporary, path)
        written = True
    except FileExistsError:
        written = False
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull() from error
        raise
    finally:
        files.unlink(temporary)
    files.sync_folder(path.parent)
    return written
