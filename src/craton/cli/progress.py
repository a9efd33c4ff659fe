"""How far a pull has come, on stderr: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from craton.cli.output import human_bytes, notices, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from craton.hub.importing import Progress

STAGES = {"download": "downloading", "store": "storing", "check": "checking"}


@contextmanager
def shown_progress(title: str) -> Iterator[Progress]:
    """Something that is told of every step and shows it under this title."""
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=notices(), transient=True) as bars:
        yield _Bar(title, bars)


class _Lines:
    def __init__(self, title: str) -> None:
        self._title, self._stage = title, ""

    def __call__(self, stage: str, done_bytes: int, total_bytes: int) -> None:
        if stage != self._stage:
            self._stage = stage
            size = f" {human_bytes(total_bytes)}" if total_bytes else ""
            say(f"{self._title}: {STAGES[stage]}{size}")


class _Bar:
    """One bar, which begins anew with each stage. It only pulses while nothing is counted (pip tells nothing)."""

    def __init__(self, title: str, bars: Bars) -> None:
        self._title, self._bars, self._stage = title, bars, ""
        self._task = bars.add_task(title, total=None)

    def __call__(self, stage: str, done_bytes: int, total_bytes: int) -> None:
        if stage != self._stage:
            self._stage = stage
            self._bars.reset(self._task, total=None, description=f"{self._title[-32:]} {STAGES[stage]}")
        if done_bytes:
            self._bars.update(self._task, completed=done_bytes, total=total_bytes or None)
