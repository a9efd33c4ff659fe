"""Unpacks the starter models for the tests: python tests/fetch_starters.py FOLDER.

Does nothing when they are there. When they cannot be had it says why and ends well; tests that need them are skipped.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from craton.app.build import open_platform
from craton.app.config import Home
from craton.core.access import SHARED_TENANT
from craton.core.errors import CratonError
from craton.hub.importing import Importer
from craton.hub.models import Models
from craton.hub.starters import STARTERS, Starter, import_starter


def main(folder: Path) -> None:
    missing = [starter for starter in STARTERS if not _is_there(starter, folder)]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as home:
        platform = open_platform(Home(Path(home)))
        importer = Importer(Models(platform.hub), SHARED_TENANT)
        for starter in missing:
            print(f"fetching {starter.name} ...", flush=True)
            try:
                revision = import_starter(importer, starter).info.revision
            except CratonError as error:
                print(f"{error}\nThe tests that need it are skipped.", file=sys.stderr)
                continue
            for entry in platform.hub.tree(SHARED_TENANT, starter.repo, revision):
                target = folder / starter.unpacked / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(platform.blobs.path(entry.digest), target)
        platform.close()


def _is_there(starter: Starter, folder: Path) -> bool:
    paths = (folder / starter.unpacked / file.path for file in starter.files)
    return all(path.is_file() for path in paths)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
