"""How far a pull has come, on stderr: a bar on a terminal, a line for each step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from craton.cli.output import human_bytes, human_span, notices, say

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from craton.hub.importing import Progress

STAGES = {"download": "downloading", "store": "storing", "check": "checking"}
TITLE = 22  # characters, so that all stands in 80


@contextmanager
def shown_progress(title: str) -> Iterator[Progress]:
    """Something that is told of every step and shows it under this title."""
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[detail]}", markup=False),
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
    """One bar, a new one for each stage. It only pulses while nothing is counted (pip tells nothing)."""

    def __init__(self, title: str, bars: Bars) -> None:
        self._title, self._bars = title[-TITLE:], bars
        self._stage, self._began = "", 0.0
        self._task = bars.add_task(self._title, total=None, detail="")

    def __call__(self, stage: str, done_bytes: int, total_bytes: int) -> None:
        if stage != self._stage:
            self._stage, self._began = stage, time.monotonic()
            self._bars.remove_task(self._task)
            self._task = self._bars.add_task(f"{self._title} {STAGES[stage]}", total=None, detail="")
        if done_bytes and total_bytes:
            left = (time.monotonic() - self._began) * (total_bytes - done_bytes) / done_bytes
            detail = f"{human_bytes(done_bytes)} of {human_bytes(total_bytes)}, {human_span(left)}"
            self._bars.update(self._task, completed=done_bytes, total=total_bytes, detail=detail)
