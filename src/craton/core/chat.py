"""A conversation, and what is asked of it.

Every dialect is read into a `ChatRequest` and written from the events of `core.events`; none knows another.
Values are frozen `msgspec.Struct`s (docs/decisions.md says why not dataclasses): the same tagged unions travel
to the workers as msgpack and into traces as JSON.

`extra` on a value carries fields that only one dialect knows, so that they survive the way through;
no code outside that dialect reads them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Json = dict[str, Any]
Role = Literal["system", "user", "assistant"]
Form = Literal["chat", "text", "gap"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class Value(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """One of a union, told apart by its tag."""


# --- parts of a message -------------------------------------------------------------------------------------


class TextPart(Value, frozen=True, tag="text"):
    text: str
    extra: Json | None = None


class ImagePart(Value, frozen=True, tag="image"):
    """format: "png", "jpeg", "gif" or "webp". Craton never fetches addresses: the bytes are in the request."""

    format: str
    data: bytes
    extra: Json | None = None


class DocumentPart(Value, frozen=True, tag="document"):
    """format: "pdf", "txt", "md", "html", "csv", "docx" ..."""

    name: str
    format: str
    data: bytes
    extra: Json | None = None


class AudioPart(Value, frozen=True, tag="audio"):
    format: str
    data: bytes
    extra: Json | None = None


class ToolUsePart(Value, frozen=True, tag="tool_use"):
    """A call that the model makes. arguments: the decoded JSON object.

    broken: what the model wrote when it is no JSON object (cut off by max_tokens, say); arguments is {} then.
    """

    id: str
    name: str
    arguments: Json
    broken: str | None = None
    extra: Json | None = None


class ToolResultPart(Value, frozen=True, tag="tool_result"):
    """What the caller's tool answered. content holds text, json (as text) or images."""

    tool_use_id: str
    content: tuple[TextPart | ImagePart | DocumentPart, ...]
    is_error: bool = False
    extra: Json | None = None


class ReasoningPart(Value, frozen=True, tag="reasoning"):
    """The model's thoughts. signature and redacted belong to the provider that made them."""

    text: str
    signature: str | None = None
    redacted: bytes | None = None
    extra: Json | None = None


class CacheMark(Value, frozen=True, tag="cache_mark"):
    """The caller says: everything up to here is worth caching."""

    extra: Json | None = None


class CitationPart(Value, frozen=True, tag="citation"):
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
    """What every dialect is read into. `model` is the name that the caller used; `serve` resolves it.

    adapter: which of its worker's adapters answers. It is serve's to say; what a dialect says is written over.
    form: "text" goes on with the one message as it stands, past the chat template; in a "gap" that message has two
    parts of text, and what stands between them is asked for.
    """

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
    adapter: str = ""
    form: Form = "chat"
