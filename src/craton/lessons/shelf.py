"""Where the lessons and the guide's rows are: in the installed package, or at the root of a checkout."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest, NotFound
from craton.lessons.reading import read_lesson
from craton.lessons.words import Lesson


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the guide. proof: the checks ("lesson/check") that must all pass; refused: why it cannot be had."""

    id: str
    chapter: str
    words: str
    works_when: str
    proof: tuple[str, ...] = ()
    refused: str = ""


class _Rows(Struct, frozen=True, forbid_unknown_fields=True):
    row: tuple[Row, ...]


class Shelf:
    """A folder of lessons (NN-name.md) with rows.toml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def installed(cls) -> Shelf:
        here = Path(__file__)
        packaged = here.with_name("content")
        return cls(packaged if packaged.is_dir() else here.parents[3] / "lessons")

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("[0-9][0-9]-*.md"))

    def lesson(self, name: str) -> Lesson:
        """name: whole, or its number, or what follows the number. Raises NotFound, InvalidRequest."""
        for known in self.names():
            number, _, rest = known.partition("-")
            if name in {known, rest, number, number.lstrip("0")}:
                return read_lesson(known, (self.folder / f"{known}.md").read_text("utf-8"))
        raise NotFound("lesson", name, "`craton learn list` shows them.")

    def lessons(self) -> list[Lesson]:
        return [self.lesson(name) for name in self.names()]

    def rows(self) -> tuple[Row, ...]:
        """In the guide's order. Raises InvalidRequest."""
        try:
            return msgspec.toml.decode((self.folder / "rows.toml").read_bytes(), type=_Rows).row
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise InvalidRequest(str(error), "rows.toml") from error
