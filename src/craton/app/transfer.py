"""Files in and out of the hub, put together for the server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from craton.access.tickets import Tickets
from craton.app.platform import Platform
from craton.hub.admission import Admission
from craton.hub.collaboration.pulls import PullRequests
from craton.hub.reaching import Reached, Reaching
from craton.hub.sending import Sending
from craton.hub.upload_modes import UploadModes
from craton.hub.uploads import Uploads
from craton.wire.huggingface.commit import CommitRoutes
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.lfs import LfsRoutes
from craton.wire.huggingface.lfs_passes import LfsPasses
from craton.wire.huggingface.lfs_uploads import LfsUploads
from craton.wire.huggingface.preupload import PreuploadRoutes
from craton.wire.huggingface.resolve import Coming, Linked, ResolveRoutes, all_here
from craton.wire.huggingface.writing import Writing

SWEEP_SECONDS = 3600.0

log = logging.getLogger("craton.hub")


class RunningTransfer:
    """passes: what the addresses that files are sent to take for credentials. uploads: what came in parts so far."""

    def __init__(
        self,
        platform: Platform,
        reaching: Reaching,
        pulls: PullRequests,
        count: Callable[[Reached], None],
        linked: Linked,
        coming: Coming = all_here,
    ) -> None:
        """count: is told of every file that is fetched. linked: how else a file can be had. coming: brings what has yet
        to come from an upstream hub."""
        database, blobs, hub = platform.database, platform.blobs, platform.hub
        self.passes = LfsPasses(Tickets(platform.keys, time.time))
        self.uploads = Uploads(database, blobs, platform.home.path / "uploads", time.time)
        admission = Admission(database)
        writing = Writing(reaching, admission, pulls)
        self.parts: list[Part] = [
            PreuploadRoutes(writing, UploadModes(database, blobs)),
            LfsRoutes(writing, self.uploads, self.passes),
            LfsUploads(hub, self.uploads, self.passes),
            CommitRoutes(writing, hub),
            ResolveRoutes(reaching, admission, hub, Sending(blobs), count, linked, coming),
        ]
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _sweep(self) -> None:
        """Uploads that were left alone are removed every now and then."""
        while True:
            try:
                await asyncio.to_thread(self.uploads.sweep)
            except Exception:
                log.exception("uploads that were left alone could not be removed")
            await asyncio.sleep(SWEEP_SECONDS)
