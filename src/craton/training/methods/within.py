"""A run within a run: one of many fits. What is told of it is not told of the whole; its warnings are, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from craton.core.errors import NotFound, Unsupported
from craton.training.protocol import Outside, Run, Team
from craton.training.team.alone import Alone


class Shared:
    """What the fits within one run have in common: repositories that were checked out, warnings that were said."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.warned: set[str] = set()


class Within:
    """See `training.protocol.Run`. folder: its own, so that no fit goes on from another one's checkpoint.

    outer: None for a fit that belongs to no run.
    """

    def __init__(self, folder: Path, outer: Run | None, shared: Shared) -> None:
        self.folder, self._outer, self._shared = folder, outer, shared

    @property
    def outside(self) -> Outside:
        if self._outer is None:
            raise Unsupported("Asking models and addresses in a fit that belongs to no run")
        return self._outer.outside

    def check(self) -> None:
        if self._outer is not None:
            self._outer.check()

    def progress(self, done: int, total: int | None, unit: str) -> None: ...

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...

    def parameter(self, name: str, value: Any) -> None: ...

    def log(self, message: str) -> None: ...

    def warn(self, message: str) -> None:
        if self._outer is not None and message not in self._shared.warned:
            self._shared.warned.add(message)
            self._outer.warn(message)

    def team(self, size: int, *, here: bool) -> Team:
        return Alone()

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        if self._outer is None:
            raise NotFound(kind, ref)
        known = f"{kind}:{ref}"
        if known not in self._shared.folders:
            self._shared.folders[known] = self._outer.checkout(kind, ref)
        return self._shared.folders[known]
