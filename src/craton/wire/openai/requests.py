"""The bodies of chat completions and embeddings, as clients send them.

What is not declared here is either in `members.py` or passed over.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9_-]{1,64}\Z")]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Penalty = Annotated[float, Meta(ge=-2.0, le=2.0)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Stop = Annotated[str, Meta(min_length=1, max_length=1000)]
StopWords = Stop | Annotated[list[Stop], Meta(max_length=16)]
MAX_TOKENS = 131_072  # in one input to embed
TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Tokens = Annotated[list[TokenId], Meta(max_length=MAX_TOKENS)]
Bias = Annotated[float, Meta(ge=-100.0, le=100.0)]


class _Content(Struct, frozen=True, tag_field="type", kw_only=True):
    """One element of a message's content."""

    prompt_cache_breakpoint: dict[str, Any] | None = None


class TextContent(_Content, frozen=True, tag="text"):
    text: str


class RefusalContent(_Content, frozen=True, tag="refusal"):
    refusal: str


class ImageUrl(Struct, frozen=True):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImageContent(_Content, frozen=True, tag="image_url"):
    image_url: ImageUrl


class AudioData(Struct, frozen=True):
    data: str
    format: Literal["wav", "mp3"]


class AudioContent(_Content, frozen=True, tag="input_audio"):
    input_audio: AudioData


class FileData(Struct, frozen=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FileContent(_Content, frozen=True, tag="file"):
    file: FileData


UserContent = TextContent | ImageContent | AudioContent | FileContent


class CalledFunction(Struct, frozen=True):
    name: Name
    arguments: str


class CalledTool(Struct, frozen=True):
    """A tool call in the conversation's history."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class _Turn(Struct, frozen=True, tag_field="role", kw_only=True):
    name: str | None = None


class SystemTurn(_Turn, frozen=True, tag="system"):
    content: str | list[TextContent]


class DeveloperTurn(_Turn, frozen=True, tag="developer"):
    content: str | list[TextContent]


class UserTurn(_Turn, frozen=True, tag="user"):
    content: str | list[UserContent]


class AssistantTurn(_Turn, frozen=True, tag="assistant"):
    """reasoning_content: where DeepSeek's API and vLLM keep the thoughts; Craton writes it too."""

    content: str | list[TextContent | RefusalContent] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CalledTool] | None = None
    function_call: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None


class ToolTurn(_Turn, frozen=True, tag="tool"):
    content: str | list[TextContent]
    tool_call_id: str


Turn = SystemTurn | DeveloperTurn | UserTurn | AssistantTurn | ToolTurn


class Function(Struct, frozen=True):
    """A tool that the model may call. parameters: JSON schema of an object; none means no arguments."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function"):
    function: Function


class NamedFunction(Struct, frozen=True):
    name: Name


class NamedTool(Struct, frozen=True, tag_field="type", tag="function"):
    function: NamedFunction


class AllowedTools(Struct, frozen=True):
    mode: Literal["auto", "required"]
    tools: list[NamedTool]


class AllowedChoice(Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: AllowedTools


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    pass


class JsonFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    pass


class NamedSchema(Struct, frozen=True):
    name: Name
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class SchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: NamedSchema


class StreamOptions(Struct, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatBody(Struct, frozen=True):
    """POST /chat/completions. top_k and min_p are not OpenAI's; llama.cpp's and vLLM's users send them."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Turn], Meta(min_length=1, max_length=100_000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Probability | None = None
    stop: StopWords | None = None
    seed: Seed | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[TokenId, Bias] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | AllowedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonFormat | SchemaFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class EmbeddingsBody(Struct, frozen=True):
    """POST /embeddings. input: a text, texts, token ids, or lists of token ids."""

    model: Annotated[str, Meta(min_length=1)]
    input: str | Annotated[list[str | TokenId | Tokens], Meta(min_length=1, max_length=MAX_TOKENS)]
    dimensions: Count | None = None
    encoding_format: Literal["float", "base64"] | None = None
