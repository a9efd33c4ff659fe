"""A model that was found, and what it takes to load it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from craton.core.model import ModelInfo


class Overlay(Struct, frozen=True):
    """The adapter's own part of a model. files: as a target's. size: bytes that it takes in memory."""

    files: dict[str, str]
    size: int


class Target(Struct, frozen=True):
    """key: tells loaded models apart. files: name in the repository -> blob digest. owner: the tenant whose repository
    it is, "" for what lives in none.

    home: the key of the worker that it shares with others, "" for one of its own. overlay: the adapter that is put over
    the files, which are its base's then; None for a whole model. units: times the requests that its engine runs at
    once otherwise.
    """

    key: str
    info: ModelInfo
    files: dict[str, str] = {}
    owner: str = ""
    home: str = ""
    overlay: Overlay | None = None
    units: int = 1

    @property
    def place(self) -> str:
        """The key of the worker that it runs in."""
        return self.home or self.key

    @property
    def adapter(self) -> str:
        """Its name among those that share its worker, "" where none do."""
        return self.key if self.overlay is not None else ""


def scaled(target: Target) -> Target:
    """With a worker of its own where it has more than one unit: the others' runs fewer requests at once."""
    if target.units == 1:
        return target
    mark = f"#{target.units}"
    return replace(target, key=target.key + mark, home=target.home and target.home + mark)
