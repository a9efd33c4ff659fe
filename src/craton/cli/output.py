"""How the command line speaks: results on stdout (tables, or JSON with --json), everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from craton.core.errors import CratonError

F = TypeVar("F", bound=Callable[..., Any])


def console() -> Console:
    """For results."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def notices() -> Console:
    """For progress, hints and errors: stderr, so that results can be piped."""
    return Console(stderr=True, highlight=False)


def json_option(command: F) -> F:
    """Adds --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: Any) -> None:
    """One JSON document on stdout; structs and dataclasses become objects."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """A table, or the sentence `empty` (a next step) on stderr when there are no rows."""
    if not rows:
        notices().print(empty)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Name and value, one a line; empty ones are left out."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in fields.items():
        if value not in (None, "", (), []):
            table.add_row(f"[bold]{name}[/bold]", str(value))
    console().print(table)


def human_bytes(size: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@contextmanager
def report_errors() -> Iterator[None]:
    """Craton's own errors become one sentence on stderr and exit code 1."""
    try:
        yield
    except CratonError as error:
        click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)  # never as markup: the sentence may carry what a stranger wrote
        raise SystemExit(1) from error
