"""What the three wires share."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from msgspec import Meta

from craton.core.chat import ChatRequest, Json, Part, TextPart, ToolUsePart
from craton.core.errors import Unsupported

TokenCount = Annotated[int, Meta(ge=0, le=2**40)]
"""As providers tell it; the bounds keep an absurd one out of the counters and sums."""


def kept(extra: Json | None, name: str) -> Any:
    """A field that the dialect of the same wire left on a value under the wire's own name for it, else None."""
    return (extra or {}).get(name)


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def refuse(part: Part, wire: str, where: str = "") -> Unsupported:
    """The error for a part that the wire has no word for."""
    kind = type(part).__name__.removesuffix("Part").removesuffix("Mark").lower()
    return Unsupported(f"{kind} content{where} over the {wire} wire")


def refuse_sampling(request: ChatRequest, wire: str, *names: str) -> None:
    """Raises Unsupported when one of these sampling options is set."""
    for name in names:
        value = getattr(request.sampling, name)
        if value is not None and not (name == "n" and value == 1):
            raise Unsupported(f"sampling.{name} over the {wire} wire")


def drop_unset(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def text_bytes(request: ChatRequest) -> int:
    """Bytes of UTF-8 text in the prompt: the ground for an estimate where a provider counts no tokens."""
    parts: list[Part] = [*request.system]
    for message in request.messages:
        parts += message.parts
    size = sum(len(str(tool.schema)) + len(tool.description) for tool in request.tools)
    for part in parts:
        if isinstance(part, ToolUsePart):
            size += len(str(part.arguments))
        for piece in (part, *getattr(part, "content", ())):
            if isinstance(piece, TextPart):
                size += len(piece.text.encode())
    return size
