"""Looking into datasets, put together for the server."""

from __future__ import annotations

from craton.app.platform import Platform
from craton.data.viewing.shelf import Shelf
from craton.data.viewing.viewer import Viewer
from craton.hub.admission import Admission
from craton.hub.reaching import Reaching
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.parquet import ParquetRoutes
from craton.wire.huggingface.viewer import ViewerRoutes
from craton.wire.native_datasets import NativeDatasets
from craton.wire.router import Router

COPIES = 20 << 30  # bytes of Parquet copies; the oldest go


class RunningViewer:
    """Built once. `parts` are the Hub's routes, `hosted` those of the viewer's own host, `native` Craton's own.
    viewer: for whoever else reads datasets."""

    def __init__(self, platform: Platform, reaching: Reaching) -> None:
        self._shelf = Shelf(platform.home.path / "copies", COPIES)
        viewer = Viewer(platform.hub, reaching, Admission(platform.database), self._shelf, platform.blobs.path)
        self.viewer = viewer
        self.parts: list[Part] = [ViewerRoutes(viewer), ParquetRoutes(viewer)]
        self.hosted = Router(ViewerRoutes(viewer, prefix="").routes())
        self.native = NativeDatasets(viewer)

    def start(self) -> None:
        self._shelf.sweep()

    async def stop(self) -> None:
        await self.viewer.close()
