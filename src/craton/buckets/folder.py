"""A bucket in a folder: every object is a file, written whole or not at all.

Bytes stream into a temporary file; then fsync, rename, fsync of the folder, and only then is the write acknowledged.
The rename and the row with the object's ETag and headers are one step under the database's write lock, so that of two
writers of one key the one whose file stays is also the one whose row stays. What is edited past Craton no longer
fits its row, and is served as the file it is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from craton.buckets.digests import Digests
from craton.buckets.listing import first, grouped
from craton.buckets.paths import TEMPORARY, path_of
from craton.buckets.protocol import Draft
from craton.buckets.rows import ObjectRows
from craton.buckets.streams import FileBody, Writer, fill, storing
from craton.buckets.threads import settled
from craton.buckets.values import (
    ANYTHING,
    WHOLE,
    Condition,
    Headers,
    ObjectInfo,
    Opened,
    Page,
    Span,
    StoredObject,
)
from craton.buckets.walking import Found, walk
from craton.core.errors import Conflict, NotFound
from craton.store.files import Files, make_folders

_LISTED = 1000  # files that are described at once
_TRIES = 5  # against folders that are tidied away, and files that are replaced, meanwhile
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO would wait for its writer


class FolderStore:
    """root: an absolute path without links. Its folder is made with the first object."""

    def __init__(self, root: Path, rows: ObjectRows, files: Files) -> None:
        self._root, self._rows, self._files = root, rows, files

    async def stat(self, key: str) -> StoredObject:
        def look() -> StoredObject:
            handle, stored = self._open(key)
            os.close(handle)
            return stored

        return await settled(look)

    async def open(self, key: str, span: Span = WHOLE) -> Opened:
        handle, stored = await settled(self._open, key)
        try:
            start, end = span.within(stored.info.size)
        except BaseException:
            os.close(handle)
            raise
        return Opened(stored, start, end, FileBody(handle, start, end))

    async def put(
        self,
        key: str,
        blocks: AsyncIterator[bytes],
        draft: Draft,
        condition: Condition = ANYTHING,
        algorithms: tuple[str, ...] = (),
    ) -> StoredObject:
        target = self._path(key)
        writer = await settled(Writer, self._files, self._root / TEMPORARY, Digests(algorithms))
        try:
            await fill(writer, blocks)
            return await settled(self._commit, key, target, writer, draft, condition)
        finally:
            await settled(writer.discard)

    async def delete(self, key: str, condition: Condition = ANYTHING) -> None:
        await settled(self._delete, key, condition)

    async def page(self, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        return await settled(self._page, prefix, delimiter, after, limit)

    async def objects(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        found = walk(self._root, prefix)
        while batch := await settled(lambda: self._rows.infos(list(islice(found, _LISTED)))):
            for info in batch:
                yield info

    # --- reading, in threads --------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._root / path_of(key)

    def _open(self, key: str) -> tuple[int, StoredObject]:
        """A handle, and what is known of the file behind it."""
        path = self._path(key)
        for _ in range(_TRIES):
            handle, found = self._open_file(key, path)
            stored = self._rows.describe(found)
            if stored.info.etag.endswith("-1") and self._was_replaced(handle, path):
                os.close(handle)  # a writer came between file and row
                continue
            return handle, stored
        raise NotFound("object", key)

    def _open_file(self, key: str, path: Path) -> tuple[int, Found]:
        try:
            self._refuse_links(key, path.parent)
            handle = os.open(path, _FLAGS)
        except OSError:
            raise NotFound("object", key) from None
        seen = os.fstat(handle)
        if not S_ISREG(seen.st_mode):
            os.close(handle)
            raise NotFound("object", key)
        return handle, _found(key, seen)

    def _was_replaced(self, handle: int, path: Path) -> bool:
        try:
            now = os.lstat(path)
        except OSError:
            return True
        return now.st_ino != os.fstat(handle).st_ino

    def _refuse_links(self, key: str, folder: Path) -> None:
        """Nothing below the root is reached through a symbolic link."""
        if os.path.realpath(folder) != str(folder):
            raise NotFound("object", key)

    def _page(self, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        folders = delimiter == "/"
        found = walk(self._root, prefix, after, folders=folders)
        if delimiter and not folders:
            found = grouped(found, prefix, delimiter, after)
        taken, last = first(found, limit)
        objects = self._rows.infos([item for item in taken if not item.is_folder])
        return Page(tuple(objects), tuple(item.key for item in taken if item.is_folder), last)

    # --- writing, in threads --------------------------------------------------------------------------------

    def _commit(self, key: str, target: Path, writer: Writer, draft: Draft, condition: Condition) -> StoredObject:
        writer.finish()
        etag, headers = draft.finish(writer.digests)
        with storing(key):
            for attempt in range(_TRIES):
                try:
                    self._refuse_links(key, target.parent)  # before folders are made behind one
                    make_folders(self._files, target.parent)
                    return self._place(key, target, writer, etag, headers, condition)
                except FileNotFoundError:  # the folder was tidied away in between
                    if attempt == _TRIES - 1:
                        raise
        raise NotFound("object", key)

    def _place(
        self, key: str, target: Path, writer: Writer, etag: str, headers: Headers, condition: Condition
    ) -> StoredObject:
        self._refuse_links(key, target.parent)
        found = _found(key, writer.seen())
        with self._rows.database.write() as connection:
            if condition != ANYTHING:
                condition.check(key, self._present_etag(key))
            if target.is_symlink():
                raise Conflict("object", key, "there is a symbolic link in its place.")
            self._files.rename(writer.path, target)
            stored = self._rows.put(connection, found, etag, headers)
        self._files.sync_folder(target.parent)
        return stored

    def _present_etag(self, key: str) -> str | None:
        try:
            handle, stored = self._open(key)
        except NotFound:
            return None
        os.close(handle)
        return stored.info.etag

    def _delete(self, key: str, condition: Condition) -> None:
        path = self._path(key)
        try:
            self._refuse_links(key, path.parent)
            present = S_ISREG(os.lstat(path).st_mode)
        except (OSError, NotFound):
            present = False
        with storing(key), self._rows.database.write() as connection:
            if condition != ANYTHING:
                condition.check(key, self._present_etag(key))
            if present:
                self._files.unlink(path)
            self._rows.delete(connection, key)
        if present:
            with storing(key):
                self._tidy(path.parent)

    def _tidy(self, folder: Path) -> None:
        """Folders that hold nothing any more go, and the last one that stays is synced."""
        while folder != self._root:
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent
        with suppress(FileNotFoundError):
            self._files.sync_folder(folder)


def _found(key: str, seen: os.stat_result) -> Found:
    return Found(key, seen.st_size, max(1, seen.st_mtime_ns))


def empty(root: Path) -> bool:
    """Whether a folder holds no object. Blocking."""
    return next(walk(root), None) is None


def remove_folder(root: Path) -> None:
    """Removes a bucket's folder with what is left in it beside objects. Raises Conflict when there is an object."""
    for folder, _, _ in os.walk(root, topdown=False):
        with suppress(OSError):
            if S_ISDIR(os.lstat(folder).st_mode):
                Path(folder).rmdir()
    if root.exists():
        raise Conflict("bucket", root.name, "it is not empty.")


def sweep(root: Path, before: float) -> None:
    """Removes temporary files that writers who were killed left behind. before: seconds since the epoch."""
    with suppress(OSError):
        for leftover in (root / TEMPORARY).iterdir():
            with suppress(OSError):
                if leftover.stat().st_mtime < before:
                    leftover.unlink()
