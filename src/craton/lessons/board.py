"""The mission's result, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from craton.lessons.mission import Judged, Status, Tried, totals

STYLES: dict[Status, str] = {
    "works": "bold green",
    "refused": "yellow",
    "missing": "dim",
    "failed": "bold red",
    "not run": "magenta",
}


def print_board(console: Console, judged: Sequence[Judged], tried: Sequence[Tried]) -> None:
    """Every row under its chapter of the guide, then the lessons, then the sums."""
    for chapter, rows in groupby(judged, lambda one: one.row.chapter):
        console.print()
        console.print(Text(chapter, style="bold"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, width=8)
        table.add_column(max_width=52)
        table.add_column(max_width=80, style="dim")
        for one in rows:
            table.add_row(Text(one.status, style=STYLES[one.status]), Text(one.row.words), Text(one.reason))
        console.print(table)
    console.print()
    console.print(Text("Lessons", style="bold"))
    for run in tried:
        took = f"{run.played.seconds:.1f} s" if run.played else ""
        console.print(Text(f"{run.status:8}  {run.lesson}  {took}  {run.reason}".rstrip()), soft_wrap=True)
    console.print()
    counts = totals(judged)
    sums = [(f"{count} {status}", STYLES[status]) for status, count in counts.items() if count]
    console.print(Text(f"{len(judged)} rows: ").append(Text(", ").join(Text(*one) for one in sums)))


def report(judged: Sequence[Judged], tried: Sequence[Tried], seconds: float) -> dict[str, Any]:
    """seconds: how long the whole mission took."""
    return {
        "total": len(judged),
        "totals": totals(judged),
        "seconds": round(seconds, 1),
        "rows": [{**msgspec.to_builtins(one.row), "status": one.status, "reason": one.reason} for one in judged],
        "lessons": [
            {
                "name": run.lesson,
                "status": run.status,
                "reason": run.reason,
                "seconds": round(run.played.seconds, 1) if run.played else 0.0,
                "checks": run.played.passed if run.played else (),
            }
            for run in tried
        ],
    }
