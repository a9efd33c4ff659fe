"""The repositories of a running server: what answers for them, and what is kept up beside them."""

from __future__ import annotations

import asyncio
import logging
import time

from craton.app.platform import Platform
from craton.hub.admission import Admission
from craton.hub.contents import Contents
from craton.hub.counting import Downloads
from craton.hub.reaching import Mirrors, Reaching, no_mirrors
from craton.hub.searching import Searching
from craton.hub.weights import Weights
from craton.hub.xet.reading import Reading
from craton.wire.huggingface.accounts import AccountRoutes
from craton.wire.huggingface.cards import CardRoutes
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.duplicates import DuplicateRoutes
from craton.wire.huggingface.history import HistoryRoutes
from craton.wire.huggingface.info import InfoRoutes
from craton.wire.huggingface.large_files import LargeFileRoutes
from craton.wire.huggingface.listing import ListingRoutes
from craton.wire.huggingface.refs import RefRoutes
from craton.wire.huggingface.repositories import RepositoryRoutes
from craton.wire.huggingface.storage import StorageRoutes
from craton.wire.huggingface.trees import TreeRoutes

FLUSH_SECONDS = 2.0

log = logging.getLogger("craton.hub")


class RunningRepositories:
    """downloads: whoever sends a file counts it there."""

    def __init__(self, platform: Platform, reaching: Reaching, mirrors: Mirrors = no_mirrors) -> None:
        database, hub = platform.database, platform.hub
        self._shelf = platform.shelf
        self.downloads = Downloads(database, time.time)
        admission = Admission(database)
        contents = Contents(database)
        searching = Searching(database, self.downloads, mirrors)
        private = platform.settings.hub.default_visibility == "private"
        self.parts: list[Part] = [
            AccountRoutes(hub),
            RepositoryRoutes(reaching, hub, private),
            ListingRoutes(searching, contents),
            InfoRoutes(reaching, contents, searching, platform.shelf, Weights(platform.blobs), platform.scans),
            TreeRoutes(reaching, contents, Reading(database).hash_of, platform.scans),
            RefRoutes(reaching, hub),
            HistoryRoutes(reaching, contents),
            CardRoutes(),
            StorageRoutes(hub, contents),
            DuplicateRoutes(reaching, hub, admission, private),
            LargeFileRoutes(reaching, hub, admission),
        ]
        self._working: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._working = asyncio.create_task(self._work())

    async def stop(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        await asyncio.to_thread(self.downloads.flush)

    async def _work(self) -> None:
        """Reads the cards that an earlier version left, then writes what was counted every now and then."""
        try:
            await asyncio.to_thread(self._shelf.catch_up)
        except Exception:
            log.exception("the cards of older repositories could not be read")
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await asyncio.to_thread(self.downloads.flush)
            except Exception:
                log.exception("downloads could not be written down")
