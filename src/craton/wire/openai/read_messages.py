"""OpenAI's messages -> the conversation of core."""

from __future__ import annotations

from typing import Any

import msgspec

from craton.core.chat import (
    AudioPart,
    CacheMark,
    DocumentPart,
    ImagePart,
    Json,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.body import check_portable
from craton.wire.media import DOCUMENT_FORMATS, decode_base64, decode_data_url, image_format
from craton.wire.openai.requests import (
    AssistantTurn,
    AudioContent,
    CalledTool,
    DeveloperTurn,
    FileContent,
    ImageContent,
    RefusalContent,
    SystemTurn,
    TextContent,
    ToolTurn,
    Turn,
    UserContent,
    UserTurn,
)


def read_messages(turns: list[Turn]) -> tuple[tuple[Part, ...], tuple[Message, ...]]:
    """The system prompt and the conversation.

    System and developer messages at the start are the system prompt (unless nothing follows them); later ones keep
    their place. Tool messages that follow one another become one user message of tool results.
    """
    first = next((i for i, turn in enumerate(turns) if not isinstance(turn, SystemTurn | DeveloperTurn)), 0)
    system = tuple(
        part
        for i, turn in enumerate(turns[:first])
        if isinstance(turn, SystemTurn | DeveloperTurn)
        for part in _read_content(turn.content, f"messages[{i}].content")
    )
    messages: list[Message] = []
    results: list[Part] = []
    for i, turn in enumerate(turns[first:], first):
        if isinstance(turn, ToolTurn):
            results.extend(_read_result(turn, f"messages[{i}]"))
            continue
        if results:
            messages.append(Message("user", tuple(results)))
            results = []
        messages.append(_read_turn(turn, f"messages[{i}]"))
    if results:
        messages.append(Message("user", tuple(results)))
    return system, tuple(messages)


def _read_turn(turn: UserTurn | AssistantTurn | SystemTurn | DeveloperTurn, field: str) -> Message:
    if isinstance(turn, AssistantTurn):
        return Message("assistant", tuple(_read_assistant(turn, field)), turn.name or "")
    role: Role = "user" if isinstance(turn, UserTurn) else "system"
    return Message(role, _read_content(turn.content, f"{field}.content"), turn.name or "")


def _read_assistant(turn: AssistantTurn, field: str) -> list[Part]:
    if turn.function_call is not None:
        raise Unsupported(f"{field}.function_call", "Send `tool_calls`.")
    if turn.audio is not None:
        raise Unsupported(f"{field}.audio", "Send what was said as text.")
    parts: list[Part] = []
    if turn.reasoning_content:
        parts.append(ReasoningPart(turn.reasoning_content))
    if turn.content:
        parts.extend(_read_content(turn.content, f"{field}.content"))
    if turn.refusal:
        parts.append(_refusal(turn.refusal))
    for i, call in enumerate(turn.tool_calls or ()):
        parts.append(_read_call(call, f"{field}.tool_calls[{i}]"))
    if not parts and turn.content is None:
        raise InvalidRequest("an assistant message needs content or tool_calls", field)
    return parts


def _read_call(call: CalledTool, field: str) -> ToolUsePart:
    place = f"{field}.function.arguments"
    try:
        arguments = msgspec.json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidRequest("not the JSON text of an object", place) from error
    check_portable(arguments, place)
    return ToolUsePart(call.id, call.function.name, arguments)


def _read_result(turn: ToolTurn, field: str) -> tuple[Part, ...]:
    """The result, and the cache mark that its last text may carry."""
    parts = _read_content(turn.content, f"{field}.content")
    texts = tuple(part for part in parts if isinstance(part, TextPart))
    marks = parts[-1:] if parts and isinstance(parts[-1], CacheMark) else ()
    return (ToolResultPart(turn.tool_call_id, texts), *marks)


def _read_content(
    content: str | list[TextContent] | list[UserContent] | list[TextContent | RefusalContent], field: str
) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    parts: list[Part] = []
    for i, item in enumerate(content):
        if isinstance(item, TextContent):
            parts.append(TextPart(item.text))
        elif isinstance(item, RefusalContent):
            parts.append(_refusal(item.refusal))
        elif isinstance(item, ImageContent):
            parts.append(_read_image(item, f"{field}[{i}].image_url.url"))
        elif isinstance(item, AudioContent):
            data = decode_base64(item.input_audio.data, f"{field}[{i}].input_audio.data")
            parts.append(AudioPart(item.input_audio.format, data))
        else:
            parts.append(_read_file(item, f"{field}[{i}].file"))
        if item.prompt_cache_breakpoint is not None:
            parts.append(CacheMark())
    return tuple(parts)


def _refusal(text: str) -> TextPart:
    return TextPart(text, extra={"refusal": True})


def _read_image(item: ImageContent, field: str) -> ImagePart:
    media_type, data = decode_data_url(item.image_url.url, field)
    detail = item.image_url.detail
    extra: Json | None = {"detail": detail} if detail else None
    return ImagePart(image_format(media_type, field), data, extra)


def _read_file(item: FileContent, field: str) -> DocumentPart:
    file = item.file
    if file.file_id is not None:
        raise Unsupported(f"{field}.file_id", "Craton keeps no uploaded files; send `file_data`.")
    if file.file_data is None:
        raise InvalidRequest("file_data is missing", field)
    name = file.filename or "file"
    place = f"{field}.file_data"
    if file.file_data[:5].lower() == "data:":
        media_type, data = decode_data_url(file.file_data, place)
        known = DOCUMENT_FORMATS.get(media_type)
    else:
        known, data = None, decode_base64(file.file_data, place)
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    if known is None and suffix not in DOCUMENT_FORMATS.values():
        raise InvalidRequest("neither a known media type nor a known file name ending says what it is", field)
    return DocumentPart(name, known or suffix, data)
