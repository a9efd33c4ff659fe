"""A run over a job: what a trainer tells becomes the job's log and progress, and the run's facts and curves."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from craton.core.job import JobCancelled, JobLost, Progress, Running
from craton.training.protocol import Outside, Team
from craton.training.tracking.keeping import Facts
from craton.training.tracking.recorder import Recorder

Checkout = Callable[[Literal["model", "space"], str, Path], None]
"""Writes the files of a repository that the run's tenant may read into an empty folder."""

Gather = Callable[[int, bool, "JobRun"], Team]
"""(size, whether children of this process are wanted, the run) -> the processes that work on it."""


class JobRun:
    """See `training.protocol.Run`. root: where runs keep their checkpoints."""

    def __init__(self, running: Running, root: Path, checkout: Checkout, gather: Gather, outside: Outside) -> None:
        self._running, self._checkout, self._gather, self._outside = running, checkout, gather, outside
        self._folder = root / running.job.id
        self._checked_out: list[str] = []
        self._teams: list[Team] = []
        self._facts, self._recorder = Facts(running), Recorder(running)
        self._published = ("", "")
        self.warnings: list[str] = []

    def begin(self, dataset: str, revision: str) -> None:
        """dataset: namespace/name, "" where the rows do not come from the hub."""
        self._facts.begin(dataset, revision)

    def published(self, model: str, revision: str) -> None:
        self._published = (model, revision)

    @property
    def outside(self) -> Outside:
        return self._outside

    @property
    def folder(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def check(self) -> None:
        self._running.check()

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self._running.report(Progress(done, total, unit))

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self._recorder.add(name, value, step)
        if step is None:
            self._running.log(f"{name} = {value:.6g}" if math.isfinite(value) else f"{name} = {value}")

    def parameter(self, name: str, value: Any) -> None:
        self._facts.parameter(name, value)
        self._running.log(f"{name}: {value}")

    def log(self, message: str) -> None:
        self._running.log(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
        self._running.log(message, "warning")

    def team(self, size: int, *, here: bool) -> Team:
        team = self._gather(size, here, self)
        self._teams.append(team)
        return team

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="craton-checkout-"))
        self._checked_out.append(str(folder))
        self._checkout(kind, ref, folder)
        return folder

    def close(self) -> None:
        """Its files go first: on a full disk, what was told last finds room then."""
        for team in self._teams:
            team.close()
        for folder in self._checked_out:
            shutil.rmtree(folder, ignore_errors=True)
        if not self._is_taken_up():
            shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(JobLost):  # then another attempt keeps what it tells
            self._recorder.close()
            self._facts.end(*self._published)

    def _is_taken_up(self) -> bool:
        """Whether another attempt goes on from the checkpoints."""
        try:
            with suppress(JobCancelled):
                self._running.check()
        except JobLost:
            return True
        return False
