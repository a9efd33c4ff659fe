"""Datasets in the hub, as Parquet files on this machine: what is stored otherwise was converted in a bounded child."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec import Struct

from craton.core.errors import InvalidRequest, NotFound, Throttled
from craton.data.viewing.values import Feature
from craton.data.viewing.viewer import Opened, Place, Viewer
from craton.training.data.refs import DatasetRef
from craton.training.specification.suggesting import unknown

TEST = "test"
PATIENCE = 3600.0  # seconds that a job waits for a copy


class Table(Struct, frozen=True):
    """One split. rows: how many there are. partial: the file was too large, and only its beginning is here."""

    files: tuple[Path, ...]
    features: dict[str, Feature]
    rows: int
    partial: bool


class Stored(Struct, frozen=True):
    """A dataset's revision, opened. revision: a commit's id. test: its own test rows, unless those were asked for."""

    revision: str
    train: Table
    test: Table | None


class HubDatasets:
    """Of whatever the tenant may read."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    @property
    def reads(self) -> bool:
        """Whether what reading takes is installed."""
        return self._viewer.reads

    async def place(self, tenant: str, ref: DatasetRef) -> Place:
        """Raises NotFound, Gated."""
        try:
            return await self._viewer.place(tenant, ref.repo, ref.revision)
        except NotFound as error:
            raise NotFound("dataset", str(ref), f"`craton datasets add {ref.repo.path} FILE` makes it.") from error

    async def pinned(self, tenant: str, ref: DatasetRef) -> DatasetRef:
        """With the commit that the branch or tag stands for now."""
        return DatasetRef(ref.repo, (await self.place(tenant, ref)).revision)

    async def open(self, tenant: str, ref: DatasetRef, config: str, part: str) -> Stored:
        """part: the split that is learned from. Raises NotFound, Gated, Damaged, TooLarge, Unsupported, and
        InvalidRequest for a split or configuration that there is not."""
        place = await self.place(tenant, ref)
        configs = await self._viewer.configs(place)
        names = [one.name for one in configs]
        if config and config not in names:
            raise InvalidRequest(unknown("configuration", config, names), "data.config")
        chosen, _ = await self._viewer.split(place, config, "")
        splits = [split.name for split in chosen.splits]
        if part not in splits:
            raise InvalidRequest(unknown("split", part, splits), "data.part")
        train = await self._open(place, chosen.name, part)
        has_test = TEST in splits and part != TEST
        return Stored(place.revision, train, await self._open(place, chosen.name, TEST) if has_test else None)

    async def _open(self, place: Place, config: str, split: str) -> Table:
        while True:
            try:
                opened: Opened = await self._viewer.open(place, config, split, PATIENCE)
            except Throttled as error:
                await asyncio.sleep(error.retry_after)
                continue
            return Table(tuple(file.path for file in opened.files), opened.features, opened.rows, opened.partial)
