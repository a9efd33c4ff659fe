"""CRATON_HOME: the one folder in which everything lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The one folder in which everything lives."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        return cls(Path(os.environ.get("CRATON_HOME") or Path.home() / ".craton").expanduser().absolute())

    def create(self) -> None:
        """Makes the folder, for its owner alone."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def database(self) -> Path:
        return self.path / "craton.db"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def indexes(self) -> Path:
        """The embedded indexes: derived, and built again when they are gone."""
        return self.path / "indexes"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def root_key(self) -> Path:
        return self.path / "root.key"

    @property
    def server(self) -> Path:
        """Where the running server says its address: JSON of `app.server.Running`."""
        return self.path / "server.json"
