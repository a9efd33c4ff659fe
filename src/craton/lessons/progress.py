"""What a learner has done: CRATON_HOME/learn.json."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.errors import Damaged


class Done(Struct, frozen=True):
    """checks: those that passed last. finished: when the whole lesson was, in seconds since the epoch; 0 for never."""

    checks: tuple[str, ...] = ()
    predictions: dict[str, str] = {}
    finished: float = 0.0


class _File(Struct, frozen=True):
    lessons: dict[str, Done] = {}


class Progress:
    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, lesson: str) -> Done:
        """Raises Damaged."""
        return self._read().get(lesson, Done())

    def record(self, lesson: str, done: Done) -> None:
        self._write(self._read() | {lesson: done})

    def forget(self, lesson: str) -> None:
        self._write({name: done for name, done in self._read().items() if name != lesson})

    def _read(self) -> dict[str, Done]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File).lessons
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise Damaged(self._path.name, f"{error}; remove it to begin anew") from error

    def _write(self, lessons: dict[str, Done]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(_File(lessons)), indent=2))
        temporary.replace(self._path)
