"""CRATON_HOMEs for proofs: new ones, and ones that hold the starter models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.access import SHARED_TENANT
from craton.hub.importing import Importer
from craton.hub.models import Models
from craton.hub.starters import STARTERS, import_starter

CHAT, EMBEDDER = (starter.name for starter in STARTERS)
_FETCHED = Path(__file__).resolve().parents[2] / "build" / "starters"


@contextmanager
def opened(home: Path) -> Iterator[Platform]:
    platform = open_platform(Home(home))
    try:
        yield platform
    finally:
        platform.close()


def pull_starters(home: Path) -> None:
    """From CRATON_TEST_STARTERS or build/starters (`make test` fills it), else from the package index."""
    folders = [Path(os.environ["CRATON_TEST_STARTERS"])] if os.environ.get("CRATON_TEST_STARTERS") else []
    source = next((folder for folder in [*folders, _FETCHED] if folder.is_dir()), None)
    with opened(home) as platform:
        importer = Importer(Models(platform.hub), SHARED_TENANT, "craton")
        for starter in STARTERS:
            import_starter(importer, starter, source)
