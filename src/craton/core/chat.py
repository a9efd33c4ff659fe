"""A conversation, and the events in which an answer arrives.

Every dialect is read into a `ChatRequest` and written from `Event`s; none knows another.
Values are frozen `msgspec.Struct`s (docs/decisions.md says why not dataclasses): the same tagged unions travel
to the workers as msgpack and into traces as JSON.

`extra` on a value carries fields that only one dialect knows, so that they survive the way through;
no code outside that dialect reads them.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from msgspec import Struct

Json = dict[str, Any]
Role = Literal["system", "user", "assistant"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "guardrail", "content_filter"]


class _Value(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    pass


# --- parts of a message -------------------------------------------------------------------------------------


class TextPart(_Value, frozen=True, tag="text"):
    text: str
    extra: Json | None = None


class ImagePart(_Value, frozen=True, tag="image"):
    """format: "png", "jpeg", "gif" or "webp". Craton never fetches addresses: the bytes are in the request."""

    format: str
    data: bytes
    extra: Json | None = None


class DocumentPart(_Value, frozen=True, tag="document"):
    """format: "pdf", "txt", "md", "html", "csv", "docx" ..."""

    name: str
    format: str
    data: bytes
    extra: Json | None = None


class AudioPart(_Value, frozen=True, tag="audio"):
    format: str
    data: bytes
    extra: Json | None = None


class ToolUsePart(_Value, frozen=True, tag="tool_use"):
    """A call that the model makes. arguments: the decoded JSON object.

    broken: what the model wrote when it is no JSON object (cut off by max_tokens, say); arguments is {} then.
    """

    id: str
    name: str
    arguments: Json
    broken: str | None = None
    extra: Json | None = None


class ToolResultPart(_Value, frozen=True, tag="tool_result"):
    """What the caller's tool answered. content holds text, json (as text) or images."""

    tool_use_id: str
    content: tuple[TextPart | ImagePart | DocumentPart, ...]
    is_error: bool = False
    extra: Json | None = None


class ReasoningPart(_Value, frozen=True, tag="reasoning"):
    """The model's thoughts. signature and redacted belong to the provider that made them."""

    text: str
    signature: str | None = None
    redacted: bytes | None = None
    extra: Json | None = None


class CacheMark(_Value, frozen=True, tag="cache_mark"):
    """The caller says: everything up to here is worth caching."""

    extra: Json | None = None


class CitationPart(_Value, frozen=True, tag="citation"):
    """Text with the places that support it."""

    text: str
    sources: tuple[Json, ...] = ()
    extra: Json | None = None


Part = (
    TextPart
    | ImagePart
    | DocumentPart
    | AudioPart
    | ToolUsePart
    | ToolResultPart
    | ReasoningPart
    | CacheMark
    | CitationPart
)


class Message(Struct, frozen=True, omit_defaults=True):
    """One turn. Tool results stand in a user message; a system message inside a conversation keeps its place.

    name: tells participants of the same role apart, "" when there is nothing to tell.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str = ""

    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


# --- the request --------------------------------------------------------------------------------------------


class Tool(Struct, frozen=True, omit_defaults=True):
    """schema: JSON schema of the arguments, an object schema. Untrusted until checked."""

    name: str
    schema: Json
    description: str = ""
    strict: bool = False
    extra: Json | None = None


class ToolChoice(Struct, frozen=True, omit_defaults=True):
    """mode "tool" forces the tool called `name`; "any" forces some tool; "none" forbids all."""

    mode: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    parallel: bool = True


class OutputSchema(Struct, frozen=True, omit_defaults=True):
    """The answer must be JSON that fits `schema` ({} means any JSON object). Untrusted until checked."""

    schema: Json
    name: str = "answer"
    strict: bool = True


class Sampling(Struct, frozen=True, omit_defaults=True):
    """How to choose tokens. None means: the model's default.

    max_tokens: of the answer. n: how many answers. logprobs: None for none, else how many alternatives
    to report beside the chosen token (0 = the chosen token only). logit_bias: token id -> bias.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[int, float] | None = None


class ReasoningOptions(Struct, frozen=True, omit_defaults=True):
    """Whether the model should think aloud, and with how many tokens or how much effort."""

    enabled: bool = True
    budget_tokens: int | None = None
    effort: Effort | None = None


class ChatRequest(Struct, frozen=True, omit_defaults=True):
    """What every dialect is read into. `model` is the name that the caller used; `serve` resolves it."""

    model: str
    messages: tuple[Message, ...]
    system: tuple[Part, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    output_schema: OutputSchema | None = None
    reasoning: ReasoningOptions | None = None
    guardrail: Json | None = None
    extra: Json | None = None


# --- the answer ---------------------------------------------------------------------------------------------


class TokenLogprob(Struct, frozen=True, omit_defaults=True):
    """One token, its natural-log probability, and the likeliest alternatives."""

    token: str
    logprob: float
    bytes: builtins.bytes | None = None  # by its full name: the field shadows it when msgspec resolves the annotation
    top: tuple[TokenLogprob, ...] = ()


class PartStarted(_Value, frozen=True, tag="part_started"):
    """A part begins. index counts the parts of one choice from 0; parts of a choice never overlap."""

    index: int
    kind: Literal["text", "reasoning", "tool_use"]
    choice: int = 0
    tool_id: str = ""
    tool_name: str = ""


class Delta(_Value, frozen=True, tag="delta"):
    """More of the open part: text, reasoning text, or a fragment of the tool arguments' JSON."""

    index: int
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    signature: str | None = None
    redacted: bytes | None = None


class PartEnded(_Value, frozen=True, tag="part_ended"):
    index: int
    choice: int = 0


class Usage(_Value, frozen=True, tag="usage"):
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


class Stop(_Value, frozen=True, tag="stop"):
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
