"""A `ChatAnswer`, or its events, -> a message, or its stream. The two say the same (tests hold them to it).

How many tokens the prompt had is known last, so `message_start` says 0 and `message_delta` carries the counts:
they are cumulative there, and clients overwrite with them what `message_start` said.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from craton.core.chat import Part, ReasoningPart, TextPart, ToolUsePart
from craton.core.errors import CratonError, Unsupported
from craton.core.events import ChatAnswer, Delta, Event, PartEnded, PartStarted, Stop, StopReason, Usage
from craton.wire.anthropic.errors import describe
from craton.wire.http import encode_json
from craton.wire.sse import named

STOP_REASONS: dict[StopReason, str] = {
    "end_turn": "end_turn",
    "stop_sequence": "stop_sequence",
    "max_tokens": "max_tokens",
    "tool_use": "tool_use",
    "guardrail": "refusal",
    "content_filter": "refusal",
}
_PING = named(b"ping", b'{"type":"ping"}')
_STOPPED = named(b"message_stop", b'{"type":"message_stop"}')


class Head(Struct, frozen=True):
    """model: the name that the caller used. request_id: for an error in mid-stream."""

    id: str
    model: str
    request_id: str


def write_answer(answer: ChatAnswer, head: Head) -> bytes:
    """The `message` object."""
    choice = answer.choices[0]
    content = [block for part in choice.parts for block in _write_part(part)]
    return encode_json(_message(head, content, choice.stop, write_usage(answer.usage)))


def _message(head: Head, content: list[dict[str, Any]], stop: Stop | None, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": head.id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": content,
        "stop_reason": STOP_REASONS[stop.reason] if stop else None,
        "stop_sequence": stop.sequence if stop else None,
        "usage": usage,
    }


def _write_part(part: Part) -> list[dict[str, Any]]:
    """A block; for reasoning that is partly redacted, two."""
    if isinstance(part, TextPart):
        return [_text_block(part.text)]
    if isinstance(part, ToolUsePart):
        return [{"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}]
    if isinstance(part, ReasoningPart):
        redacted = [] if part.redacted is None else [_redacted_block(part.redacted)]
        if redacted and not part.text and part.signature is None:
            return redacted
        return [_thinking_block(part.text, part.signature or ""), *redacted]
    raise Unsupported(f"A {type(part).__name__} in an answer through Anthropic's API")


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _thinking_block(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _redacted_block(data: bytes) -> dict[str, Any]:
    """`data` is text on Anthropic's wire, and read from there as its UTF-8."""
    try:
        return {"type": "redacted_thinking", "data": data.decode()}
    except UnicodeDecodeError as error:
        raise Unsupported("This redacted reasoning through Anthropic's API", "Use Bedrock's.") from error


def write_usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts what came from the cache, and what was written to it, apart from input_tokens.
    Details only where the engine tells them."""
    apart = (usage.cached_input or 0) + (usage.cache_write or 0)
    written: dict[str, Any] = {"input_tokens": max(usage.input - apart, 0), "output_tokens": usage.output}
    if usage.cached_input is not None:
        written["cache_read_input_tokens"] = usage.cached_input
    if usage.cache_write is not None:
        written["cache_creation_input_tokens"] = usage.cache_write
    if usage.reasoning is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return written


class EventWriter:
    """Writes the events of one answer as Anthropic's stream (a `StreamWriter`).

    A block of reasoning starts with its first delta, which tells whether it is redacted.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._started = False
        self._blocks = 0  # blocks begun; the open one is the last
        self._open: str | None = None  # the type of the open block
        self._stop: Stop | None = None

    def write(self, event: Event) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, PartStarted):
            return self._opening() + self._part_started(event)
        if isinstance(event, PartEnded):
            return self._end()
        if isinstance(event, Stop):
            self._stop = event
            return b""
        return self._opening() + self._finish(event)

    def write_error(self, error: CratonError) -> bytes:
        _, body = describe(error, self._head.request_id)
        return named(b"error", encode_json(body))

    def _opening(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        message = _message(self._head, [], None, {"input_tokens": 0, "output_tokens": 0})
        return named(b"message_start", encode_json({"type": "message_start", "message": message})) + _PING

    def _part_started(self, event: PartStarted) -> bytes:
        if event.kind == "reasoning":
            self._open = "reasoning"
            return b""
        if event.kind == "text":
            return self._begin("text", _text_block(""))
        return self._begin("tool_use", {"type": "tool_use", "id": event.tool_id, "name": event.tool_name, "input": {}})

    def _begin(self, kind: str, block: dict[str, Any]) -> bytes:
        self._open = kind
        self._blocks += 1
        body = {"type": "content_block_start", "index": self._blocks - 1, "content_block": block}
        return named(b"content_block_start", encode_json(body))

    def _end(self) -> bytes:
        late = self._begin("thinking", _thinking_block("", "")) if self._open == "reasoning" else b""
        self._open = None
        body = {"type": "content_block_stop", "index": self._blocks - 1}
        return late + named(b"content_block_stop", encode_json(body))

    def _delta(self, event: Delta) -> bytes:
        if self._open == "text":
            return self._write_delta({"type": "text_delta", "text": event.text}) if event.text else b""
        if self._open == "tool_use":
            return self._write_delta({"type": "input_json_delta", "partial_json": event.text}) if event.text else b""
        return self._reasoning(event)

    def _reasoning(self, event: Delta) -> bytes:
        written = b""
        if event.text or event.signature is not None:
            if self._open == "reasoning":
                written += self._begin("thinking", _thinking_block("", ""))
            if event.text:
                written += self._write_delta({"type": "thinking_delta", "thinking": event.text})
            if event.signature is not None:
                written += self._write_delta({"type": "signature_delta", "signature": event.signature})
        if event.redacted is not None:
            if self._open != "reasoning":
                written += self._end()
            written += self._begin("redacted_thinking", _redacted_block(event.redacted))
        return written

    def _write_delta(self, delta: dict[str, Any]) -> bytes:
        body = {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}
        return named(b"content_block_delta", encode_json(body))

    def _finish(self, usage: Usage) -> bytes:
        stop = self._stop
        if stop is None:
            raise ValueError("the stream ended before its stop event")
        delta = {"stop_reason": STOP_REASONS[stop.reason], "stop_sequence": stop.sequence}
        body = {"type": "message_delta", "delta": delta, "usage": write_usage(usage)}
        return named(b"message_delta", encode_json(body)) + _STOPPED
