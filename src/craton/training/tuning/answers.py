"""A teacher's answers, kept as they come."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from craton.core.chat import Json
from craton.core.errors import Damaged
from craton.training.protocol import Answer


class Answers:
    """A file with a line for each answer, in the order in which they came; a line cut off by a crash is none. The first
    one says which teacher gave them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    @property
    def teacher(self) -> str:
        for line in self._lines():
            return str(line["teacher"])
        return ""

    def begin(self, teacher: str) -> None:
        whole = self._whole()
        self._file = self._path.open("ab")
        self._file.truncate(whole)
        if not whole:
            self._write({"teacher": teacher})

    def add(self, number: int, answer: Answer) -> None:
        self._write({"number": number, "text": answer.text, "stop": answer.stop})

    def read(self) -> dict[int, Answer]:
        return {int(line["number"]): Answer(line["text"], line["stop"]) for line in self._lines() if "number" in line}

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()

    def _write(self, value: Json) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()

    def _whole(self) -> int:
        """Bytes through the last line's end."""
        if not self._path.is_file():
            return 0
        return self._path.read_bytes().rfind(b"\n") + 1

    def _lines(self) -> Iterator[Json]:
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    yield json.loads(line)
                except ValueError:
                    raise Damaged("the teacher's answers", "a line of them is no JSON; start a new run") from None
