"""How far a job is, on stderr while it runs: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from craton.cli.output import human_span, notices, say

SAY_EVERY = 10.0  # seconds, without a terminal

Show = Callable[[str, str, dict[str, Any]], None]
"""Called with a title, a status and a job's progress."""


@contextmanager
def following() -> Iterator[Show]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    with Progress(*columns, console=notices(), transient=True) as bars:
        task = bars.add_task("", total=None, detail="")

        def show(title: str, status: str, progress: dict[str, Any]) -> None:
            bars.update(
                task,
                description=title[:40],
                completed=progress["done"],
                total=progress["total"],
                detail=detail(status, progress),
            )

        yield show


class _Lines:
    def __init__(self) -> None:
        self._said, self._last = float("-inf"), ""

    def __call__(self, title: str, status: str, progress: dict[str, Any]) -> None:
        now, line = time.monotonic(), f"{title}: {detail(status, progress)}"
        if line != self._last and now - self._said >= SAY_EVERY:
            self._said, self._last = now, line
            say(line)


def detail(status: str, progress: dict[str, Any]) -> str:
    """ "120 of 5,183 documents, 2 min 3 s left"."""
    if status != "running" or (not progress["done"] and progress["total"] is None):
        return progress["message"] if status == "running" and progress["message"] else status
    total = "" if progress["total"] is None else f" of {progress['total']:,}"
    left = "" if progress["eta"] is None else f", {human_span(progress['eta'])} left"
    return f"{progress['done']:,}{total} {progress['unit']}".rstrip() + left
