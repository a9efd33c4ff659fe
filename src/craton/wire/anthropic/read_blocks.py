"""Anthropic's content blocks -> parts of core."""

from __future__ import annotations

from craton.core.chat import (
    CacheMark,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.anthropic.requests import (
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
    UrlSource,
)
from craton.wire.body import check_portable
from craton.wire.media import decode_base64, image_format

_ALLOWED: dict[str, tuple[type, ...]] = {
    "user": (TextBlock, ImageBlock, DocumentBlock, ToolResultBlock),
    "assistant": (TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock),
    "system": (TextBlock,),
}


def read_turns(turns: list[Turn]) -> tuple[Message, ...]:
    """Turns of one role that follow one another are one turn, as Anthropic reads them."""
    messages: list[Message] = []
    for i, turn in enumerate(turns):
        parts = _read_content(turn, f"messages[{i}].content")
        if messages and messages[-1].role == turn.role:
            parts = messages.pop().parts + parts
        messages.append(Message(turn.role, parts))
    return tuple(messages)


def read_system(system: str | list[TextBlock] | None) -> tuple[Part, ...]:
    if isinstance(system, str):
        return (TextPart(system),) if system else ()
    return tuple(part for block in system or () for part in _marked(_read_text(block), block))


def _read_content(turn: Turn, field: str) -> tuple[Part, ...]:
    if isinstance(turn.content, str):
        return (TextPart(turn.content),)
    parts: list[Part] = []
    for i, block in enumerate(turn.content):
        if not isinstance(block, _ALLOWED[turn.role]):
            raise InvalidRequest(f"this type of block cannot stand in a {turn.role} message", f"{field}[{i}]")
        parts.extend(_marked(_read_block(block, f"{field}[{i}]"), block))
    return tuple(parts)


def _marked(part: Part, block: Block) -> tuple[Part, ...]:
    return (part,) if block.cache_control is None else (part, CacheMark())


def _read_block(block: Block, field: str) -> Part:
    if isinstance(block, TextBlock):
        return _read_text(block)
    if isinstance(block, ImageBlock):
        return _read_image(block, field)
    if isinstance(block, DocumentBlock):
        return _read_document(block, field)
    if isinstance(block, ThinkingBlock):
        return ReasoningPart(block.thinking, block.signature or None)
    if isinstance(block, RedactedThinkingBlock):
        return ReasoningPart("", redacted=block.data.encode())
    if isinstance(block, ToolUseBlock):
        check_portable(block.input, f"{field}.input")
        return ToolUsePart(block.id, block.name, block.input)
    return _read_result(block, field)


def _read_text(block: TextBlock) -> TextPart:
    return TextPart(block.text, {"citations": block.citations} if block.citations else None)


def _read_image(block: ImageBlock, field: str) -> ImagePart:
    if block.transformations:
        raise Unsupported(f"{field}.transformations")
    source = block.source
    if not isinstance(source, Base64Source):
        raise _remote(source, field)
    place = f"{field}.source"
    media_type = image_format(source.media_type.lower(), f"{place}.media_type")
    return ImagePart(media_type, decode_base64(source.data, f"{place}.data"))


def _read_document(block: DocumentBlock, field: str) -> DocumentPart:
    if block.citations is not None and block.citations.enabled:
        raise Unsupported(f"Citations ({field}.citations)", "Leave them off.")
    if block.context:
        raise Unsupported(f"{field}.context", "Put it into a text block.")
    source, name = block.source, block.title or "document"
    if isinstance(source, TextSource):
        return DocumentPart(name, "txt", source.data.encode())
    if isinstance(source, ContentSource):
        content = source.content
        text = content if isinstance(content, str) else "\n".join(inner.text for inner in content)
        return DocumentPart(name, "txt", text.encode())
    if not isinstance(source, Base64Source):
        raise _remote(source, field)
    if source.media_type != "application/pdf":
        raise InvalidRequest("a base64 document must be application/pdf", f"{field}.source.media_type")
    return DocumentPart(name, "pdf", decode_base64(source.data, f"{field}.source.data"))


def _remote(source: UrlSource | FileSource, field: str) -> Unsupported:
    what = "Fetching the address" if isinstance(source, UrlSource) else "The uploaded file"
    return Unsupported(f"{what} in {field}.source", "Send the bytes in a source of the type `base64`.")


def _read_result(block: ToolResultBlock, field: str) -> ToolResultPart:
    """Cache marks inside a result have no place of their own in core; the result's own mark follows it."""
    content: list[TextPart | ImagePart | DocumentPart] = []
    if isinstance(block.content, str):
        content.append(TextPart(block.content))
    else:
        for i, inner in enumerate(block.content or ()):
            place = f"{field}.content[{i}]"
            if isinstance(inner, TextBlock):
                content.append(_read_text(inner))
            elif isinstance(inner, ImageBlock):
                content.append(_read_image(inner, place))
            else:
                content.append(_read_document(inner, place))
    return ToolResultPart(block.tool_use_id, tuple(content), bool(block.is_error))
