"""Xet of a running server: what stands behind its routes."""

from __future__ import annotations

import time

from craton.access.tickets import Tickets
from craton.app.config import parse_bytes
from craton.app.platform import Platform
from craton.hub.admission import Admission
from craton.hub.collaboration.pulls import PullRequests
from craton.hub.reaching import Reaching
from craton.hub.xet.sharing import Sharing
from craton.hub.xet.store import XetStore
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.writing import Writing
from craton.wire.huggingface.xet_downloads import XetDownloads
from craton.wire.huggingface.xet_keeping import XetKeepingRoutes
from craton.wire.huggingface.xet_linked import XetLinked
from craton.wire.huggingface.xet_passes import XetPasses
from craton.wire.huggingface.xet_tokens import XetTokenRoutes
from craton.wire.huggingface.xet_uploads import XetUploads


class RunningXet:
    """passes: what its routes take for credentials. linked: tells who asks for a file that it can be had as chunks."""

    def __init__(self, platform: Platform, reaching: Reaching, pulls: PullRequests) -> None:
        self.store = XetStore(platform.database, platform.blobs, time.time, platform.settings.hub.keep)
        self.passes = XetPasses(Tickets(platform.keys, time.time))
        admission = Admission(platform.database)
        sharing = Sharing(platform.hub, reaching, admission)
        self.linked = XetLinked(self.store.reading, parse_bytes(platform.settings.hub.xet_above, "hub.xet_above"))
        self.parts: list[Part] = [
            XetTokenRoutes(platform.hub, Writing(reaching, admission, pulls), sharing, self.passes),
            XetUploads(self.store, self.passes),
            XetDownloads(self.store, sharing, self.passes),
            XetKeepingRoutes(reaching, self.store.policies),
        ]
