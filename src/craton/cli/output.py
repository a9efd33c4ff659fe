"""How the command line speaks: results on stdout (tables, or JSON with --json), everything else on stderr.

What strangers wrote (a model's answer, a name in a file) never reaches the terminal as markup or control codes.
rich is imported only where a table is drawn: it takes longer than the rest of a short command.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
import msgspec

from craton.cli.wrapping import Wrapping
from craton.core.errors import CratonError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

F = TypeVar("F", bound=Callable[..., Any])

PIPE_WIDTH = 500  # columns: what is piped is not folded to a screen
_KEPT = frozenset("\n\t")


def console() -> Console:
    """For results."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def notices() -> Console:
    """For progress and hints: stderr, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(sentence: str, **style: Any) -> None:
    """One line on stderr; style as of `click.style`."""
    click.secho(sentence, err=True, **style)


def hint(sentence: str) -> None:
    """A next step for a person: dim, and only when stderr is a terminal."""
    if sys.stderr.isatty():
        say(wrapped(sentence, sys.stderr), dim=True)


def json_option(command: F) -> F:
    """Adds --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: Any) -> None:
    """One JSON document on stdout; structs and dataclasses become objects."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    empty: str,
    *,
    right: Collection[str] = (),
    whole: Collection[str] = (),
) -> None:
    """A table, or the sentence `empty` (a next step) on stderr when there are no rows.

    right: columns of numbers; whole: columns that are never folded.
    """
    from rich.table import Table

    if not rows:
        say(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=column in whole, overflow="fold"
        )
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    _draw(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Name and value, one a line; empty ones are left out."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value not in (None, "", (), []):
            table.add_row(name, _cell(value))
    _draw(table)


def _draw(table: RenderableType) -> None:
    """Without the spaces that rich puts at the ends of lines."""
    screen = console()
    with screen.capture() as drawn:
        screen.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _cell(value: Any) -> RenderableType:
    from rich.text import Text

    return Text("" if value is None else printable(str(value)))


def printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return "".join(letter for letter in text if letter in _KEPT or unicodedata.category(letter) != "Cc")


def wrapped(text: str, stream: TextIO) -> str:
    """With lines broken between words when the stream is a terminal."""
    if not stream.isatty():
        return text
    wrapping = Wrapping(shutil.get_terminal_size().columns)
    return wrapping.feed(text) + wrapping.end()


def human_bytes(size: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_time(seconds: float | None) -> str:
    """Seconds since the epoch -> "2026-11-23 13:15:02", in the user's time zone; "" for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def human_span(seconds: float) -> str:
    """0.0123 -> "12 ms", 75 -> "1 min 15 s", 7500 -> "2 h 5 min"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


@contextmanager
def report_errors() -> Iterator[None]:
    """Craton's own errors, and the system's about files, become a sentence on stderr and an exit code."""
    try:
        yield
    except BrokenPipeError:
        raise  # Click ends quietly when the reader of a pipe has left
    except CratonError as error:
        _report(str(error))
        raise SystemExit(getattr(error, "exit_code", 1)) from error
    except OSError as error:
        _report(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        raise SystemExit(1) from error


def _report(sentence: str) -> None:
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    begin = "Error: "
    click.echo(wrapped(begin + printable(sentence), sys.stderr).removeprefix(begin), err=True)
