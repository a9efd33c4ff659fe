"""A repository of the local hub: each file is a document, or each row of its tables.

A revision is resolved once, so a listing and its fetches see the same commit. Digests are etags.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from craton.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from craton.core.knowledge import Location
from craton.core.repo import RepoId, TreeEntry
from craton.data.documents import Fetched, Item
from craton.data.sources.files import Writing, save
from craton.data.sources.globs import Globs
from craton.data.sources.options import HubOptions
from craton.data.sources.records import Record, as_text, check_names, metadata_of, render
from craton.data.sources.spool import Spool
from craton.data.sources.tables import Row, is_table, read_rows

BATCH = 500
CAPACITY = 16 * 1024**3  # bytes of rows


class Blobs(Protocol):
    """Blocking. Raises NotFound, Damaged."""

    def read(self, digest: str) -> Iterator[bytes]: ...

    def path(self, digest: str) -> Path: ...


class Hub(Protocol):
    """What is needed of the hub. Blocking; raises NotFound."""

    @property
    def blobs(self) -> Blobs: ...

    def resolve(self, tenant: str, repo: RepoId, revision: str = "main") -> str: ...

    def tree(self, tenant: str, repo: RepoId, revision: str = "main") -> list[TreeEntry]: ...

    def entry(self, tenant: str, repo: RepoId, revision: str, path: str) -> TreeEntry: ...


class HubSource:
    """Keys are paths; of rows PATH#KEY, where KEY is the row's number when no columns of a key are named."""

    incremental = False

    def __init__(self, hub: Hub, tenant: str, options: HubOptions) -> None:
        namespace, _, name = options.repo.partition("/")
        self._hub, self._tenant, self._options = hub, tenant, options
        self._repo = RepoId(options.repo_kind, namespace, name)
        self._globs = Globs(options.include, options.exclude)
        self._revision = ""
        self._spool = Spool(CAPACITY)

    # --- listing ------------------------------------------------------------------------------------------------

    async def list(self, cursor: str | None) -> AsyncIterator[Item]:
        del cursor
        self._spool.clear()
        self._revision = await asyncio.to_thread(self._hub.resolve, self._tenant, self._repo, self._options.revision)
        entries = await asyncio.to_thread(self._hub.tree, self._tenant, self._repo, self._revision)
        for entry in entries:
            if not self._globs.admits(entry.path):
                continue
            if not self._options.rows:
                yield Item(entry.path, entry.digest, size=entry.size)
            elif is_table(entry.path):
                rows = self._rows(entry)
                while batch := await asyncio.to_thread(lambda rows=rows: [*islice(rows, BATCH)]):  # type: ignore[misc]
                    for item in batch:
                        yield item

    def _rows(self, entry: TreeEntry) -> Iterator[Item]:
        """Raises what `read_rows` raises, InvalidRequest for a column that is not there, Conflict for a key twice."""
        options = self._options
        for number, row in enumerate(read_rows(self._hub.blobs.path(entry.digest), entry.path)):
            if number == 0:
                for option in ("key", "text", "metadata"):
                    check_names(getattr(options, option), [*row], option)
            key = f"{entry.path}#{self._key(row, number)}"
            if key in self._spool:
                raise Conflict("row", key[:200], "another row has the same key")
            record = self._record(row, key)
            value = msgspec.msgpack.encode(record)
            if not self._spool.put(key, value):
                raise TooLarge("A listing", CAPACITY)
            yield Item(key, record.etag, size=len(record.text.encode()))

    def _key(self, row: Mapping[str, object], number: int) -> str:
        if not self._options.key:
            return str(number)
        parts = [as_text(row.get(name)) for name in self._options.key]
        if not all(parts):
            raise InvalidRequest(f"row {number} has no value in a key column", "options.key")
        return parts[0] if len(parts) == 1 else msgspec.json.encode(parts).decode()

    def _record(self, row: Row, key: str) -> Record:
        options = self._options
        return Record(
            render(row, options.text),
            self._address(key),
            as_text(row.get(options.title)) if options.title else "",
            metadata_of(row, {name: name for name in options.metadata}),
        )

    def _address(self, key: str) -> str:
        return f"hub://{self._repo.kind}/{self._repo.path}@{self._revision}/{key}"

    def cursor(self) -> str | None:
        return None

    # --- fetching -----------------------------------------------------------------------------------------------

    async def fetch(self, item: Item, folder: Path, limit: int) -> Fetched:
        what = f"The file {item.key!r}"
        if not self._options.rows:
            return await asyncio.to_thread(self._copy, item.key, folder, what, limit)
        kept = self._spool.get(item.key)
        if kept is None:
            raise NotFound("row", item.key[:200])
        record = msgspec.msgpack.decode(kept, type=Record)
        path = save(folder, record.text.encode("utf-8", "replace"), f"The row {item.key!r}", limit)
        location = Location("hub", record.uri)
        return Fetched(path, location, "row.txt", "text/plain", record.title, record.metadata)

    def _copy(self, key: str, folder: Path, what: str, limit: int) -> Fetched:
        self._revision = self._revision or self._hub.resolve(self._tenant, self._repo, self._options.revision)
        entry = self._hub.entry(self._tenant, self._repo, self._revision, key)
        if entry.size > limit:
            raise TooLarge(what, limit, entry.size)
        with Writing(folder, what, limit) as file:
            for data in self._hub.blobs.read(entry.digest):
                file.write(data)
        return Fetched(file.path, Location("hub", self._address(key)), PurePosixPath(key).name)

    async def close(self) -> None:
        self._spool.close()
