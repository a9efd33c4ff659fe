"""Converse's content blocks, read into parts and written from them."""

from __future__ import annotations

from collections.abc import Callable

from craton.core.chat import (
    AudioPart,
    CacheMark,
    CitationPart,
    DocumentPart,
    ImagePart,
    Json,
    Part,
    ReasoningPart,
    TextPart,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.http import encode_json

_SEND_BYTES = "Send the bytes in the request."


def read_block(block: Json, field: str) -> Part:
    """One block (a union: exactly one member). Raises InvalidRequest, and Unsupported for what has no part."""
    kind, value = next(iter(block.items()))
    reader = _READERS.get(kind)
    if reader is None:
        raise Unsupported(f"The content block {kind!r} ({field})")
    return reader(value, field)


def write_block(part: Part) -> Json:
    """The block of a part that a model can produce. Raises Unsupported for the others."""
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, ToolUsePart):
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": part.arguments}}
    if isinstance(part, ReasoningPart):
        if part.redacted is not None:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
    if isinstance(part, CitationPart):
        return {"citationsContent": {"content": [{"text": part.text}], "citations": list(part.sources)}}
    raise Unsupported(f"An answer with a part of the kind {type(part).__name__}")


def _text(value: str, _field: str) -> TextPart:
    return TextPart(value)


def _source(value: Json, field: str) -> bytes:
    if "bytes" not in value:
        raise Unsupported(f"The source {next(iter(value))!r} ({field})", _SEND_BYTES)
    data: bytes = value["bytes"]
    return data


def _image(value: Json, field: str) -> ImagePart:
    return ImagePart(format=value["format"], data=_source(value["source"], field))


def _audio(value: Json, field: str) -> AudioPart:
    return AudioPart(format=value["format"], data=_source(value["source"], field))


def _document(value: Json, field: str) -> DocumentPart:
    if value.get("citations", {}).get("enabled"):
        raise Unsupported(f"Citations of a document ({field})")
    if "context" in value:
        raise Unsupported(f"The context of a document ({field})", "Put it into a text block.")
    source = value["source"]
    if "text" in source:
        data, format_ = source["text"].encode(), "txt"
    elif "content" in source:
        data, format_ = "\n".join(block["text"] for block in source["content"]).encode(), "txt"
    else:
        data, format_ = _source(source, field), value.get("format", "")
    if not format_:
        raise InvalidRequest("the document's format is missing", field)
    return DocumentPart(name=value["name"], format=value.get("format", format_), data=data)


def _tool_use(value: Json, field: str) -> ToolUsePart:
    if "type" in value:
        raise Unsupported(f"A tool use of the type {value['type']!r} ({field})")
    if not isinstance(value["input"], dict):
        raise InvalidRequest("the input of a tool use must be a JSON object", f"{field}.toolUse.input")
    return ToolUsePart(id=value["toolUseId"], name=value["name"], arguments=value["input"])


def _tool_result(value: Json, field: str) -> ToolResultPart:
    content: list[TextPart | ImagePart | DocumentPart] = []
    for place, block in enumerate(value["content"]):
        here = f"{field}.toolResult.content[{place}]"
        if "text" in block:
            content.append(TextPart(block["text"]))
        elif "json" in block:
            content.append(TextPart(encode_json(block["json"]).decode(), extra={"json": block["json"]}))
        elif "image" in block:
            content.append(_image(block["image"], here))
        elif "document" in block:
            content.append(_document(block["document"], here))
        else:
            raise Unsupported(f"The content block {next(iter(block))!r} ({here})")
    return ToolResultPart(value["toolUseId"], tuple(content), is_error=value.get("status") == "error")


def _reasoning(value: Json, _field: str) -> ReasoningPart:
    if "redactedContent" in value:
        return ReasoningPart(text="", redacted=value["redactedContent"])
    text = value["reasoningText"]
    return ReasoningPart(text=text["text"], signature=text.get("signature"))


def _cache_point(value: Json, _field: str) -> CacheMark:
    return CacheMark(extra={"cachePoint": value})


def _guarded(value: Json, field: str) -> TextPart | ImagePart:
    """Content that a guardrail is to look at in particular. Without a guardrail it is content like any other."""
    mark = {"guardContent": True}
    if "image" in value:
        image = value["image"]
        return ImagePart(format=image["format"], data=_source(image["source"], field), extra=mark)
    text = value["text"]
    return TextPart(text["text"], extra={**mark, "qualifiers": text.get("qualifiers", [])})


def _citations(value: Json, _field: str) -> CitationPart:
    text = "".join(block["text"] for block in value.get("content", []))
    return CitationPart(text, sources=tuple(value.get("citations", [])))


_READERS: dict[str, Callable[..., Part]] = {
    "text": _text,
    "image": _image,
    "audio": _audio,
    "document": _document,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "cachePoint": _cache_point,
    "guardContent": _guarded,
    "citationsContent": _citations,
}
