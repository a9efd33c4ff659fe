"""The folder of a running batch: its plan, its spool. Whole again after a crash, gone when the outputs are there."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from craton.batch.planning import Plan
from craton.batch.spool import Spool
from craton.store.files import Files, make_folders

_PLAN = "plan.json"


class Keeping:
    """Blocking."""

    def __init__(self, folder: Path, files: Files | None = None) -> None:
        self._folder, self._files = folder, files or Files()

    def plan(self) -> Plan | None:
        """What an earlier attempt planned here."""
        try:
            return msgspec.json.decode((self._folder / _PLAN).read_bytes(), type=Plan)
        except FileNotFoundError:
            return None

    def keep(self, plan: Plan) -> None:
        """On the medium when this returns."""
        make_folders(self._files, self._folder)
        new = self._folder / f"{_PLAN}.new"
        new.unlink(missing_ok=True)
        handle = self._files.create(new)
        try:
            self._files.write(handle, msgspec.json.encode(plan))
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        self._files.rename(new, self._folder / _PLAN)
        self._files.sync_folder(self._folder)

    def spool(self) -> Spool:
        return Spool(self._folder)

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
