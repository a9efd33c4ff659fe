"""Waiting for an ingestion on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from craton.cli.output import human_span, notices, say

POLL = 0.3  # seconds
LINE_EVERY = 5.0  # seconds
_UNFINISHED = frozenset({"starting", "in_progress", "stopping"})


def wait_for(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """ask: the ingestion as it is now. Returns it as it ended. An interrupt leaves the job running."""
    if sys.stderr.isatty():
        return _with_bar(ask)
    said = time.monotonic()
    while (ingestion := ask())["status"] in _UNFINISHED:
        if time.monotonic() - said > LINE_EVERY:
            said = time.monotonic()
            say(describe(ingestion))
        time.sleep(POLL)
    return ingestion


def describe(ingestion: dict[str, Any]) -> str:
    """ "120 of 5,183 documents, 3 failed, 1 min 5 s left"."""
    total, eta = ingestion.get("total"), ingestion.get("eta")
    failed = ingestion["statistics"].get("failed", 0)
    parts = [f"{ingestion.get('done', 0):,} of {total:,} documents" if total is not None else "looking for documents"]
    if failed:
        parts.append(f"{failed:,} failed")
    if eta is not None:
        parts.append(f"{human_span(eta)} left")
    return ", ".join(parts)


def _with_bar(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.fields[detail]}", markup=False))
    with Progress(*columns, console=notices(), transient=True) as bars:
        task = bars.add_task("", total=None, detail="starting")
        while (ingestion := ask())["status"] in _UNFINISHED:
            total = ingestion.get("total")
            bars.update(task, total=total or None, completed=ingestion.get("done", 0), detail=describe(ingestion))
            time.sleep(POLL)
    return ingestion
