"""An answer on stdout while it arrives."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from craton.cli.answering import Piece
from craton.cli.output import notices, printable
from craton.cli.wrapping import Wrapping

if TYPE_CHECKING:
    from rich.status import Status


class Screen:
    """On a terminal: a sign of waiting until it begins, thoughts dimmed, lines broken between words, and nothing that
    a terminal would obey. In a pipe: the answer as it is, without the thoughts."""

    def __init__(self, model: str) -> None:
        self._wrapping = Wrapping(shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
        self._kind = ""
        self._ends_line = True
        self._waiting = _waiting(model) if sys.stderr.isatty() else None

    def write(self, piece: Piece) -> None:
        self.close()
        if self._wrapping is None:
            if piece.kind == "text":
                self._put(piece.text)
            return
        if self._kind and piece.kind != self._kind:
            self.end_line()
            self._put("\n")
        self._kind = piece.kind
        self._put(self._wrapping.feed(printable(piece.text)))

    def end_line(self) -> None:
        """Leaves the cursor at the beginning of a line."""
        self.close()
        if self._wrapping is not None:
            self._put(self._wrapping.end())
            self._wrapping = Wrapping(shutil.get_terminal_size().columns)
        if not self._ends_line:
            self._put("\n")

    def close(self) -> None:
        """Takes the sign of waiting away."""
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None

    def _put(self, text: str) -> None:
        if text:
            self._ends_line = text.endswith("\n")
            sys.stdout.write(click.style(text, dim=True) if self._kind == "reasoning" else text)
            sys.stdout.flush()


def _waiting(model: str) -> Status:
    status = notices().status(f"[dim]{model} ...[/dim]", spinner="dots")
    status.start()
    return status
