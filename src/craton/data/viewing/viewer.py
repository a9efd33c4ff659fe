"""Viewer: what one asks of a dataset. `place` finds it and asks who may see it; all else is asked of a Place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import InvalidRequest, NotFound
from craton.core.repo import RepoId
from craton.data.viewing.copies import PATIENCE, Copied, Copies, Memory, Once
from craton.data.viewing.frames import Filter, Head, Measure, Part, Search, Table, Window
from craton.data.viewing.layout import find_configs
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.pool import TablePool
from craton.data.viewing.shelf import Shelf, key_of
from craton.data.viewing.values import Config, Feature, Page, Split, Statistics
from craton.hub.admission import Admission
from craton.hub.cards import read_card
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub

MAX_PAGE = 100  # rows
MAX_CARD = 1 << 20  # bytes
MAX_OFFSET = 1 << 62
_STATISTICS = "statistics"


class Place(Struct, frozen=True):
    """A revision of a repository: tenant is its owner, revision a commit's id."""

    tenant: str
    repo: RepoId
    revision: str


class Opened(Struct, frozen=True):
    """A split as Parquet."""

    config: Config
    split: Split
    files: tuple[Copied, ...]
    features: dict[str, Feature]

    @property
    def rows(self) -> int:
        return sum(file.described.rows for file in self.files)

    @property
    def size(self) -> int:
        return sum(file.described.size for file in self.files)

    @property
    def memory(self) -> int:
        return sum(file.described.memory for file in self.files)

    @property
    def partial(self) -> bool:
        return any(file.described.partial for file in self.files)

    @property
    def table(self) -> Table:
        parts, start = [], 0
        for stored, file in zip(self.split.files, self.files, strict=True):
            parts.append(Part(str(file.path), stored.path, start, file.described.rows))
            start += file.described.rows
        return Table(tuple(parts), self.features)


class Viewer:
    """`close` at the end."""

    def __init__(
        self,
        hub: Hub,
        reaching: Reaching,
        admission: Admission,
        shelf: Shelf,
        locate: Callable[[str], Path],
        limits: ViewLimits | None = None,
    ) -> None:
        """locate: the path of a blob on this machine (blocks)."""
        self._hub, self._reaching, self._admission = hub, reaching, admission
        self._shelf, self._locate = shelf, locate
        limits = limits or ViewLimits()
        self._quick = TablePool(2, replace(limits, cpu_seconds=60.0, wall_seconds=90.0))
        self._slow = TablePool(1, limits)
        self._copies = Copies(shelf, self._slow, self._quick, locate)
        self._configs = Memory[tuple[Config, ...]](1000)
        self._measured = Once[bytes]()

    @property
    def reads(self) -> bool:
        """Whether what reading takes is installed."""
        return find_spec("pyarrow") is not None

    @property
    def searches(self) -> bool:
        return find_spec("duckdb") is not None

    async def close(self) -> None:
        await self._measured.close()
        await self._copies.close()
        await asyncio.gather(self._quick.close(), self._slow.close())

    async def place(self, tenant: str, repo: RepoId, revision: str = "main") -> Place:
        """For a caller of this tenant. Raises NotFound, Gated."""

        def find() -> Place:
            reached = self._reaching.reach(tenant, repo)
            self._admission.check(tenant, reached)
            found = self._hub.resolve(reached.owner, reached.repo, revision or "main")
            return Place(reached.owner, reached.repo, found)

        return await asyncio.to_thread(find)

    async def configs(self, place: Place) -> tuple[Config, ...]:
        """Raises Unsupported when the repository has no data that can be shown."""
        key = key_of(place.tenant, place.repo.kind, place.repo.path, place.revision)
        found = self._configs.get(key)
        if found is None:
            found = await asyncio.to_thread(self._find_configs, place)
            self._configs.put(key, found)
        return found

    async def split(self, place: Place, config: str, split: str) -> tuple[Config, Split]:
        """By name; "" for the default configuration, and for its first split. Raises NotFound."""
        configs = await self.configs(place)
        chosen = next((one for one in configs if one.name == config or (not config and one.default)), None)
        if chosen is None and not config:
            chosen = configs[0]
        if chosen is None:
            raise NotFound("configuration", config)
        found = next((one for one in chosen.splits if not split or one.name == split), None)
        if found is None:
            raise NotFound("split", split)
        return chosen, found

    async def first_rows(self, place: Place, config: str, split: str, length: int = MAX_PAGE) -> Page:
        """From the beginning of the first file, whose rest is not read."""
        _check_window(0, length)
        chosen, found = await self.split(place, config, split)
        source = await self._copies.source(found.files[0])
        return await self._quick.run(Head(source, length, chosen.features), Page)

    async def open(self, place: Place, config: str, split: str, patience: float = PATIENCE) -> Opened:
        """Raises Throttled while copies are being made, after so many seconds for each."""
        chosen, found = await self.split(place, config, split)
        files = [await self._copies.parquet(place.tenant, file, patience) for file in found.files]
        columns: dict[str, Feature] = {}
        for file in files:
            columns = file.described.features | columns
        features = chosen.features if chosen.features.keys() == columns.keys() else columns
        return Opened(chosen, found, tuple(files), features)

    async def rows(self, place: Place, config: str, split: str, offset: int, length: int) -> Page:
        _check_window(offset, length)
        opened = await self.open(place, config, split)
        page = await self._quick.run(Window(opened.table, offset, length), Page)
        return replace(page, partial=opened.partial)

    async def filter(
        self, place: Place, config: str, split: str, where: str, order: str, offset: int, length: int
    ) -> Page:
        if not where and not order:
            raise InvalidRequest("a condition (where) or an order (orderby) is needed", "where")
        _check_window(offset, length)
        opened = await self.open(place, config, split)
        task = Filter(opened.table, where, order, offset, length)
        return replace(await self._quick.run(task, Page), partial=opened.partial)

    async def search(self, place: Place, config: str, split: str, words: str, offset: int, length: int) -> Page:
        _check_window(offset, length)
        opened = await self.open(place, config, split)
        task = Search(opened.table, words, offset, length)
        return replace(await self._quick.run(task, Page), partial=opened.partial)

    async def statistics(self, place: Place, config: str, split: str) -> Statistics:
        """Counted once and kept. Raises Throttled while they are being counted."""
        opened = await self.open(place, config, split)
        features = hashlib.sha256(msgspec.json.encode(opened.features)).hexdigest()
        key = key_of(place.tenant, _STATISTICS, features, *(file.key for file in opened.files))
        content = await asyncio.to_thread(self._shelf.read_bytes, key, _STATISTICS)
        if content is None:

            async def count() -> bytes:
                found = msgspec.msgpack.encode(await self._slow.run(Measure(opened.table), Statistics))
                await asyncio.to_thread(self._shelf.put_bytes, found, key, _STATISTICS)
                return found

            content = await self._measured.do(key, f"The statistics of {opened.split.name!r} are being counted", count)
        return replace(msgspec.msgpack.decode(content, type=Statistics), partial=opened.partial)

    def _find_configs(self, place: Place) -> tuple[Config, ...]:
        tree = self._hub.tree(place.tenant, place.repo, place.revision)
        card = next((entry for entry in tree if entry.path == "README.md" and entry.size <= MAX_CARD), None)
        text = self._locate(card.digest).read_bytes().decode("utf-8", "replace") if card else ""
        return find_configs(tree, read_card(text))


def _check_window(offset: int, length: int) -> None:
    if not 0 <= length <= MAX_PAGE:
        raise InvalidRequest(f"must be from 0 to {MAX_PAGE}", "length")
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidRequest("must be a count of rows", "offset")
