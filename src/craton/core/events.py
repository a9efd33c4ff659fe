"""The events in which an answer arrives, and the whole answer that they fold into.

Streaming is the only path: a whole answer is `fold(events)`.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import AsyncIterator, Iterable
from typing import Literal

from msgspec import Struct

from craton.core.chat import Json, Part, ReasoningPart, TextPart, ToolUsePart, Value

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "guardrail", "content_filter"]


class TokenLogprob(Struct, frozen=True, omit_defaults=True):
    """One token, its natural-log probability, and the likeliest alternatives."""

    token: str
    logprob: float
    bytes: builtins.bytes | None = None  # by its full name: the field shadows it when msgspec resolves the annotation
    top: tuple[TokenLogprob, ...] = ()


class PartStarted(Value, frozen=True, tag="part_started"):
    """A part begins. index counts the parts of one choice from 0; parts of a choice never overlap."""

    index: int
    kind: Literal["text", "reasoning", "tool_use"]
    choice: int = 0
    tool_id: str = ""
    tool_name: str = ""


class Delta(Value, frozen=True, tag="delta"):
    """More of the open part: text, reasoning text, or a fragment of the tool arguments' JSON."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    signature: str | None = None
    redacted: bytes | None = None


class PartEnded(Value, frozen=True, tag="part_ended"):
    index: int
    choice: int = 0


class Usage(Value, frozen=True, tag="usage"):
    """Tokens. cached_input is None when the engine does not tell (never inferred); it is part of input.

    estimated: an upstream provider reported nothing, so input and output are guesses from the sizes of the texts.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.input + self.output


class Stop(Value, frozen=True, tag="stop"):
    """The choice is complete."""

    reason: StopReason
    choice: int = 0
    sequence: str | None = None


Event = PartStarted | Delta | PartEnded | Usage | Stop
"""Order: for each choice (PartStarted Delta* PartEnded)* Stop; choices may interleave; one Usage, last."""


class Choice(Struct, frozen=True):
    """One whole answer."""

    parts: tuple[Part, ...]
    stop: Stop
    logprobs: tuple[TokenLogprob, ...] = ()

    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


class ChatAnswer(Struct, frozen=True):
    """A folded stream. choices[0] is the only one unless `n` asked for more."""

    choices: tuple[Choice, ...]
    usage: Usage


class _OpenPart:
    """A part while its deltas arrive."""

    def __init__(self, started: PartStarted) -> None:
        self.started = started
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.redacted: bytes | None = None

    def close(self) -> Part:
        text = "".join(self.pieces)
        if self.started.kind == "tool_use":
            arguments = _json_object(text)
            broken = text if arguments is None else None
            return ToolUsePart(self.started.tool_id, self.started.tool_name, arguments or {}, broken)
        if self.started.kind == "reasoning":
            return ReasoningPart(text=text, signature=self.signature, redacted=self.redacted)
        return TextPart(text=text)


def _json_object(text: str) -> Json | None:
    """The JSON object in text, {} for none at all; None when it is anything else."""
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Folder:
    """Folds events into a `ChatAnswer`; feed it with `add`, then take `answer()`."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, _OpenPart]] = {}
        self._logprobs: dict[int, list[TokenLogprob]] = {}
        self._stops: dict[int, Stop] = {}
        self._usage: Usage | None = None

    def add(self, event: Event) -> None:
        if isinstance(event, Delta):
            part = self._parts[event.choice][event.index]
            part.pieces.append(event.text)
            part.signature = event.signature or part.signature
            part.redacted = event.redacted or part.redacted
            if event.logprobs:
                self._logprobs.setdefault(event.choice, []).extend(event.logprobs)
        elif isinstance(event, PartStarted):
            self._parts.setdefault(event.choice, {})[event.index] = _OpenPart(event)
        elif isinstance(event, Stop):
            self._stops[event.choice] = event
        elif isinstance(event, Usage):
            self._usage = event

    def answer(self) -> ChatAnswer:
        """Raises ValueError when the stream was not complete (no Stop, or no Usage)."""
        if self._usage is None or not self._stops:
            raise ValueError("the stream ended before its usage and stop events")
        return ChatAnswer(
            choices=tuple(
                Choice(
                    parts=tuple(part.close() for _, part in sorted(self._parts.get(choice, {}).items())),
                    stop=stop,
                    logprobs=tuple(self._logprobs.get(choice, ())),
                )
                for choice, stop in sorted(self._stops.items())
            ),
            usage=self._usage,
        )


def fold(events: Iterable[Event]) -> ChatAnswer:
    """The whole answer that a stream spells: the one law that every dialect's two forms obey."""
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.answer()


async def fold_stream(events: AsyncIterator[Event]) -> ChatAnswer:
    """`fold` for a live stream."""
    folder = Folder()
    async for event in events:
        folder.add(event)
    return folder.answer()
