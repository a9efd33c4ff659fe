"""Echo's tokens are words: runs of characters that are not white space."""

from __future__ import annotations

import array
import hashlib
import json
import math
import re
from collections.abc import Iterable

from craton.core.chat import (
    AudioPart,
    CacheMark,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Tool,
    ToolResultPart,
    ToolUsePart,
)

_BYTES = (ImagePart, DocumentPart, AudioPart)
_PIECE = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")


def pieces(text: str) -> list[str]:
    """The words of `text`, each with the white space before it (the last also with what follows): joined, they are
    `text` again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return len(text.split())


def part_text(part: Part) -> str:
    """A part as words. Bytes are described ("[image png, 68 bytes]"), so that one sees that they arrived."""
    if isinstance(part, ToolUsePart):
        return f"{part.name} {compact(part.arguments)}"
    if isinstance(part, ToolResultPart):
        return " ".join(part_text(inner) for inner in part.content)
    if isinstance(part, CacheMark):
        return ""
    if isinstance(part, _BYTES):
        kind = type(part).__name__.removesuffix("Part").lower()
        return f"[{kind} {part.format}, {len(part.data)} bytes]"
    return part.text


def message_text(message: Message) -> str:
    """What echo says back: the text of the message as it is; without any text, its other parts in words."""
    if text := message.text():
        others = [part_text(part) for part in message.parts if isinstance(part, _BYTES)]
        return " ".join([text, *others])
    return " ".join(filter(None, (part_text(part) for part in message.parts if not isinstance(part, ReasoningPart))))


def count_prompt(request: ChatRequest) -> int:
    """The words of the system prompt, of all messages and of the tools' names, descriptions and schemas."""
    return (
        _count_parts(request.system)
        + sum(_count_parts(message.parts) for message in request.messages)
        + sum(_count_tool(tool) for tool in request.tools)
    )


def _count_parts(parts: Iterable[Part]) -> int:
    return sum(count(part_text(part)) for part in parts)


def _count_tool(tool: Tool) -> int:
    return count(tool.name) + count(tool.description) + count(compact(tool.schema))


def compact(value: object) -> str:
    """JSON as echo writes it: a blank only after commas, so that a list has more than one token."""
    return json.dumps(value, separators=(", ", ":"), ensure_ascii=False)


def unit_vector(text: str, dimensions: int) -> array.array[float]:
    """A pseudo-random direction that depends on `text` alone: SHAKE-256 of it, as float32 of length 1."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(4 * dimensions)
    raw = [value / 2**31 - 1.0 for value in array.array("I", digest)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return array.array("f", (value / length for value in raw))
