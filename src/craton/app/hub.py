"""The hub of a running server: its routes, and what stands behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from craton.app.collaboration import RunningCollaboration
from craton.app.keeping import RunningKeeping
from craton.app.mirror import RunningMirror
from craton.app.platform import Platform
from craton.app.repositories import RunningRepositories
from craton.app.transfer import RunningTransfer
from craton.app.viewing import RunningViewer
from craton.app.xet import RunningXet
from craton.hub.reaching import Reaching
from craton.serve.inference import Scoring
from craton.wire.authentication import AnyPasses
from craton.wire.huggingface.dialect import HuggingFaceDialect, Part
from craton.wire.huggingface.inference import InferenceRoutes
from craton.wire.huggingface.mirrored import Mirrored

if TYPE_CHECKING:
    import httpx


class RunningHub:
    """Built once. `dialect` is what the server mounts, `passes` the credentials that it takes beside keys; `start` and
    `stop` with the server."""

    def __init__(self, platform: Platform, client: Callable[[], httpx.AsyncClient], serving: Scoring) -> None:
        """client: gives the one outgoing client. serving: what runs the models that are kept here."""
        self._serving = serving
        self.mirroring = RunningMirror(platform, client)
        self.reaching = Reaching(platform.database, self.mirroring.mirrors)
        self.collaboration = RunningCollaboration(platform, self.reaching, client)
        self.xet = RunningXet(platform, self.reaching, self.collaboration.pulls)
        self.viewer = RunningViewer(platform, self.reaching)
        self.repositories = RunningRepositories(platform, self.reaching, self.mirroring.mirrors)
        self.transfer = RunningTransfer(
            platform,
            self.reaching,
            self.collaboration.pulls,
            self.repositories.downloads.count,
            self.xet.linked,
            self.mirroring.coming,
        )
        self.keeping = RunningKeeping(platform)
        self.passes = AnyPasses(self.xet.passes, self.transfer.passes)
        self.dialect = HuggingFaceDialect(self._parts())

    def _parts(self) -> list[Part]:
        """Each is about one noun."""
        parts = [
            *self.repositories.parts,
            *self.transfer.parts,
            *self.collaboration.parts,
            *self.xet.parts,
            *self.viewer.parts,
            InferenceRoutes(self._serving),
        ]
        return [Mirrored(parts, self.reaching, self.mirroring.mirror)]

    def start(self) -> None:
        self.mirroring.start()
        self.repositories.start()
        self.transfer.start()
        self.collaboration.start()
        self.viewer.start()
        self.keeping.start()

    async def stop(self) -> None:
        await self.repositories.stop()
        await self.transfer.stop()
        await self.collaboration.stop()
        await self.viewer.stop()
        await self.keeping.stop()
        await self.mirroring.stop()
