"""Errors of the command line itself, with its exit codes: 0 done, 1 error, 2 wrong usage (Click's), 3 no server."""

from __future__ import annotations

from typing import ClassVar

from craton.core.errors import CratonError


class CommandError(CratonError):
    """What went wrong, with the next step, in one or two sentences."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class ServerError(CommandError):
    """The server answered with an error, or broke off."""


class NoServer(CommandError):
    """Nobody answers."""

    exit_code = 3
