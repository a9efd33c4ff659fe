"""The body of messages and of token counts, as clients send them.

What is not declared here is either in `members.py` or passed over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9_-]{1,128}\Z")]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
StopText = Annotated[str, Meta(min_length=1, max_length=1000)]


class CacheControl(Struct, frozen=True, tag_field="type", tag="ephemeral"):
    """ttl is a hint."""

    ttl: Literal["5m", "1h"] | None = None


class CitationsConfig(Struct, frozen=True):
    enabled: bool = False


class Base64Source(Struct, frozen=True, tag_field="type", tag="base64"):
    media_type: str
    data: str


class TextSource(Struct, frozen=True, tag_field="type", tag="text"):
    data: str
    media_type: Literal["text/plain"] = "text/plain"


class UrlSource(Struct, frozen=True, tag_field="type", tag="url"):
    url: str


class FileSource(Struct, frozen=True, tag_field="type", tag="file"):
    file_id: str


class _Block(Struct, frozen=True, tag_field="type", kw_only=True):
    cache_control: CacheControl | None = None


class TextBlock(_Block, frozen=True, tag="text"):
    text: str
    citations: list[dict[str, Any]] | None = None


class ContentSource(Struct, frozen=True, tag_field="type", tag="content"):
    content: str | list[TextBlock]


class ImageBlock(_Block, frozen=True, tag="image"):
    source: Base64Source | UrlSource | FileSource
    transformations: dict[str, Any] | None = None


class DocumentBlock(_Block, frozen=True, tag="document"):
    source: Base64Source | TextSource | ContentSource | UrlSource | FileSource
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | None = None


class ThinkingBlock(_Block, frozen=True, tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(_Block, frozen=True, tag="redacted_thinking"):
    data: str


class ToolUseBlock(_Block, frozen=True, tag="tool_use"):
    id: str
    name: Name
    input: dict[str, Any]


class ToolResultBlock(_Block, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    is_error: bool | None = None


Block = TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock


class Turn(Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class ToolDefinition(Struct, frozen=True):
    """A tool of the caller's own; Anthropic's server tools have another `type` and no input_schema."""

    name: Name
    input_schema: dict[str, Any] | None = None
    type: str | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class AutoChoice(Struct, frozen=True, tag_field="type", tag="auto"):
    disable_parallel_tool_use: bool = False


class AnyChoice(Struct, frozen=True, tag_field="type", tag="any"):
    disable_parallel_tool_use: bool = False


class NamedChoice(Struct, frozen=True, tag_field="type", tag="tool"):
    name: Name
    disable_parallel_tool_use: bool = False


class NoChoice(Struct, frozen=True, tag_field="type", tag="none"):
    pass


class ThinkingEnabled(Struct, frozen=True, tag_field="type", tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(Struct, frozen=True, tag_field="type", tag="adaptive"):
    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(Struct, frozen=True, tag_field="type", tag="disabled"):
    pass


class SchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    schema: dict[str, Any]


class OutputConfig(Struct, frozen=True):
    format: SchemaFormat | None = None
    effort: Effort | None = None
    task_budget: dict[str, Any] | None = None


class MessagesBody(Struct, frozen=True):
    """POST /v1/messages; for /v1/messages/count_tokens the same without max_tokens.

    output_format: what output_config.format was called in the beta.
    """

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Turn], Meta(min_length=1, max_length=100_000)]
    max_tokens: Count | None = None
    system: str | list[TextBlock] | None = None
    stream: bool | None = None
    stop_sequences: Annotated[list[StopText], Meta(max_length=64)] | None = None
    temperature: Unit | None = None
    top_p: Unit | None = None
    top_k: Count | None = None
    tools: Annotated[list[ToolDefinition], Meta(max_length=512)] | None = None
    tool_choice: AutoChoice | AnyChoice | NamedChoice | NoChoice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    output_format: SchemaFormat | None = None
    cache_control: CacheControl | None = None
