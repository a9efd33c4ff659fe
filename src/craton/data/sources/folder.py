"""A folder of the machine that the operator allowed: every regular file is a document.

Names come from people and are hostile: a path is walked part by part from an opened folder, and no part may be a
symbolic link, so what was checked is what is read, whoever renames things meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from craton.core.errors import InvalidRequest, NotFound, SourceFailed, TooLarge
from craton.core.knowledge import Location
from craton.data.documents import Fetched, Item
from craton.data.sources.files import Writing
from craton.data.sources.globs import Globs
from craton.data.sources.options import FolderOptions
from craton.data.sources.sidecars import MAX_BYTES, SUFFIX, Sidecar, is_sidecar, read_sidecar

BATCH = 500
CHUNK = 1024 * 1024
MAX_DEPTH = 128
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # not blocked by a pipe that nobody writes to
_NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENAMETOOLONG})
_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def check_folder(path: str, allowed: Sequence[Path]) -> Path:
    """The folder without links in its path. Raises InvalidRequest unless it lies in one that the operator allowed."""
    if "\0" in path or not os.path.isabs(path):
        raise InvalidRequest("is not an absolute path", "path")
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in allowed):
        raise InvalidRequest("the operator has not allowed this folder for sources", "path")
    if not real.is_dir():
        raise InvalidRequest("is not a folder", "path")
    return real


class FolderSource:
    """Keys are paths below the folder, joined by "/"; bytes of a name that are no UTF-8 are written as \\xNN.

    etag: size, time of change and inode.
    """

    incremental = False

    def __init__(self, root: Path, options: FolderOptions) -> None:
        """root: from `check_folder`."""
        self._root, self._links = root, options.follow_links
        self._globs = Globs(options.include, options.exclude)

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        del cursor
        walk = self._walk()
        while batch := await asyncio.to_thread(lambda: [*islice(walk, BATCH)]):
            for item in batch:
                yield item

    def cursor(self) -> str | None:
        return None

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        return await asyncio.to_thread(self._fetch, item.key, folder, limit)

    async def close(self) -> None:
        """Holds nothing open between two calls."""

    # --- listing ------------------------------------------------------------------------------------------------

    def _walk(self) -> Iterator[Item]:
        """Depth first, one folder's listing open on each level. Raises SourceFailed."""
        seen: set[tuple[int, int]] = set()
        yield from self._walk_folder("", seen, 0)

    def _walk_folder(self, below: str, seen: set[tuple[int, int]], depth: int) -> Iterator[Item]:
        try:
            with os.scandir(self._root / below) as entries:
                for entry in entries:
                    name = below + entry.name
                    try:
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISLNK(status.st_mode):
                            if not (self._links and self._leads_inside(name)):
                                continue
                            status = entry.stat()
                    except FileNotFoundError:  # gone since, or a link to nowhere
                        continue
                    if stat.S_ISDIR(status.st_mode):
                        mark = (status.st_dev, status.st_ino)
                        if depth < MAX_DEPTH and not (self._links and mark in seen):
                            if self._links:  # only links make circles
                                seen.add(mark)
                            yield from self._walk_folder(f"{name}/", seen, depth + 1)
                    elif stat.S_ISREG(status.st_mode):
                        item = self._item(name, status)
                        if item is not None:
                            yield item
        except FileNotFoundError as error:
            if below == "":
                raise SourceFailed(self._root.name, "the folder is gone") from error
        except OSError as error:  # a folder that cannot be read: what is in it is not gone
            raise SourceFailed(_key(below) or self._root.name, os.strerror(error.errno or 0)) from error

    def _item(self, name: str, status: os.stat_result) -> Item | None:
        key = _key(name)
        if is_sidecar(name) or not self._globs.admits(key):
            return None
        beside = ""
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.stat(self._root / f"{name}{SUFFIX}", follow_symlinks=self._links)
            beside = _etag(found) if stat.S_ISREG(found.st_mode) else ""
        return Item(key, _etag(status), beside, status.st_size)

    def _leads_inside(self, name: str) -> bool:
        return Path(os.path.realpath(self._root / name)).is_relative_to(self._root)

    # --- fetching -----------------------------------------------------------------------------------------------

    def _fetch(self, key: str, folder: Path, limit: int) -> Fetched:
        handle, name = self._open(key)
        with open(handle, "rb", buffering=0) as file:
            size = os.fstat(handle).st_size
            if size > limit:
                raise TooLarge(f"The file {key!r}", limit, size)
            sidecar = self._sidecar(name)
            with Writing(folder, f"The file {key!r}", limit) as copy:
                while chunk := file.read(CHUNK):
                    copy.write(chunk)
        return Fetched(
            copy.path,
            Location("folder", (self._root / name).as_uri()),
            PurePosixPath(key).name,
            metadata=sidecar.metadata,
            access=sidecar.access,
        )

    def _sidecar(self, name: str) -> Sidecar:
        try:
            handle = self._open_inside(f"{name}{SUFFIX}")
        except (FileNotFoundError, NotADirectoryError):
            return Sidecar()
        except (OSError, ValueError) as error:  # never without it: it may hold an access list
            raise SourceFailed(f"{_key(name)}{SUFFIX}", "it is not a plain file inside the folder") from error
        with open(handle, "rb") as file:
            return read_sidecar(file.read(MAX_BYTES + 1), _key(name))

    def _open(self, key: str) -> tuple[int, str]:
        """An open regular file and its path below the root. Raises NotFound, SourceFailed."""
        names = [key]
        if _ESCAPED.search(key):
            names.append(_ESCAPED.sub(lambda found: chr(0xDC00 + int(found[1], 16)), key))  # as Python decodes names
        for name in names:
            try:
                handle = self._open_inside(name)
            except (FileNotFoundError, NotADirectoryError, ValueError):
                continue
            except OSError as error:
                if error.errno in _NOT_A_FILE:
                    continue
                raise SourceFailed(key, os.strerror(error.errno or 0)) from error
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return handle, name
            os.close(handle)
        raise NotFound("file", key)

    def _open_inside(self, name: str) -> int:
        """Raises OSError, and ValueError for a name that would leave the folder."""
        parts = self._parts(name)
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for number, part in enumerate(parts):
            try:
                inner = os.open(part, _READ | (os.O_DIRECTORY if number < len(parts) - 1 else 0), dir_fd=at)
            finally:
                os.close(at)
            at = inner
        return at

    def _parts(self, name: str) -> tuple[str, ...]:
        if self._links:  # links are followed on paper; the walk then meets none, or refuses
            real = Path(os.path.realpath(self._root / name))
            if not real.is_relative_to(self._root) or PurePosixPath(name).is_absolute():
                raise ValueError(name)
            return real.relative_to(self._root).parts
        parts = tuple(name.split("/"))
        if any(part in {"", ".", ".."} for part in parts) or "\0" in name:
            raise ValueError(name)
        return parts


def _etag(status: os.stat_result) -> str:
    return f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"


def _key(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
