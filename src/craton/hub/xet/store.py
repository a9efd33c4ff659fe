"""All of Xet's nouns over one database and one store of blobs."""

from __future__ import annotations

from collections.abc import Callable

from craton.hub.xet.files import XetFiles
from craton.hub.xet.keepers import Keep, Policies
from craton.hub.xet.reading import Reading
from craton.hub.xet.remembering import Remembering
from craton.hub.xet.xorbs import Xorbs
from craton.store.blobs import Blobs
from craton.store.database import Database


class XetStore:
    """keep: how files are kept in repositories that do not say it. clock: seconds since the epoch."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float], keep: Keep = "plain") -> None:
        self.blobs = blobs
        self.xorbs = Xorbs(database, blobs, clock)
        self.files = XetFiles(database, blobs, clock)
        self.reading = Reading(database)
        self.remembering = Remembering(database, blobs, clock)
        self.policies = Policies(database, blobs, keep)
