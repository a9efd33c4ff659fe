"""A run over a job: what a trainer tells becomes the job's log and progress."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from craton.core.job import Progress, Running
from craton.training.protocol import Trained

Checkout = Callable[[Literal["model", "space"], str, Path], None]
"""Writes the files of a repository that the run's tenant may read into an empty folder."""


class JobRun:
    """See `training.protocol.Run`. root: where runs keep their checkpoints."""

    def __init__(self, running: Running, root: Path, checkout: Checkout) -> None:
        self._running, self._checkout = running, checkout
        self._folder = root / running.job.id
        self._checked_out: list[str] = []
        self.warnings: list[str] = []

    @property
    def folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def check(self) -> None:
        self._running.check()

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self._running.report(Progress(done, total, unit))

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        if step is None:
            self._running.log(f"{name} = {value:.6g}" if math.isfinite(value) else f"{name} = {value}")

    def parameter(self, name: str, value: Any) -> None:
        self._running.log(f"{name}: {value}")

    def log(self, message: str) -> None:
        self._running.log(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        self._running.log(message, "warning")

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="craton-checkout-"))
        self._checked_out.append(str(folder))
        self._checkout(kind, ref, folder)
        return folder

    def figures(self, trained: Trained) -> None:
        """They are in the artifact's report."""

    def close(self, *, succeeded: bool) -> None:
        for folder in self._checked_out:
            shutil.rmtree(folder, ignore_errors=True)
        if succeeded:
            shutil.rmtree(self._folder, ignore_errors=True)
