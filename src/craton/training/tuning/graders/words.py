"""What a job and the child that runs a user's grader say to each other."""

from __future__ import annotations

from msgspec import Struct

from craton.core.chat import Json


class Source(Struct, frozen=True, tag="source"):
    """The text of the module, first of all."""

    text: str


class Grade(Struct, frozen=True, tag="grade"):
    prompt: str | list[Json]
    answer: str
    record: Json


class Ready(Struct, frozen=True, tag="ready"):
    pass


class Scored(Struct, frozen=True, tag="scored"):
    score: float


class Failed(Struct, frozen=True, tag="failed"):
    """what: it did, as the end of a sentence."""

    what: str


Asked = Source | Grade
Said = Ready | Scored | Failed
