"""What a family of bodies is, and what its modules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from craton.core.chat import ChatRequest, Json, Message, TextPart
from craton.core.errors import InvalidRequest
from craton.core.events import ChatAnswer, Delta, Event, PartStarted, Stop, StopReason

T = TypeVar("T")
Pieces = Callable[[Event], list[Json]]
"""What an event of an answer is in a stream: objects, or none."""


class Family(NamedTuple):
    """read: the model's name and a body. whole: a whole answer, to that body. stream: what writes its events, for the
    id of the request. The last event of an answer, its usage, is always written."""

    read: Callable[[str, Json], ChatRequest]
    whole: Callable[[ChatAnswer, Json, str], Json]
    stream: Callable[[str, Json], Pieces]


def convert(body: Json, kind: type[T]) -> T:
    """Raises InvalidRequest that names the member."""
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error).replace("`", ""), "body") from None


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", (TextPart(text),)),)


class Heard:
    """What a stream has said so far. Thoughts have no place in these families, in whole answers neither."""

    def __init__(self) -> None:
        self.text = ""
        self.reason: StopReason = "end_turn"
        self._spoken: set[int] = set()  # parts that are text

    def hear(self, event: Event) -> str:
        """The text that it adds."""
        if isinstance(event, PartStarted) and event.kind == "text":
            self._spoken.add(event.index)
        if isinstance(event, Stop):
            self.reason = event.reason
        if not isinstance(event, Delta) or event.index not in self._spoken:
            return ""
        self.text += event.text
        return event.text
