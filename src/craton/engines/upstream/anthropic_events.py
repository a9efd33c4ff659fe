"""Anthropic's message stream -> core events."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from craton.core.events import Event, StopReason, Usage
from craton.engines.upstream.assembly import Assembler
from craton.engines.upstream.failures import Malformed, Reported
from craton.engines.upstream.words import TokenCount

_STOPS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "content_filter",
}


class _Event(Struct, tag_field="type"):
    pass


class _Thinking(Struct):
    thinking_tokens: TokenCount | None = None


class _Usage(Struct):
    """Of input, only what was neither read from nor written to the cache."""

    input_tokens: TokenCount | None = None
    output_tokens: TokenCount | None = None
    cache_read_input_tokens: TokenCount | None = None
    cache_creation_input_tokens: TokenCount | None = None
    output_tokens_details: _Thinking | None = None


class _Message(Struct):
    usage: _Usage = field(default_factory=_Usage)


class _MessageStart(_Event, tag="message_start"):
    message: _Message


class _Block(Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = {}


class _BlockStart(_Event, tag="content_block_start"):
    index: int
    content_block: _Block


class _Piece(Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""


class _BlockDelta(_Event, tag="content_block_delta"):
    index: int
    delta: _Piece


class _BlockStop(_Event, tag="content_block_stop"):
    index: int


class _Outcome(Struct):
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _MessageDelta(_Event, tag="message_delta"):
    delta: _Outcome = field(default_factory=_Outcome)
    usage: _Usage = field(default_factory=_Usage)


class _MessageStop(_Event, tag="message_stop"):
    pass


_DECODER = msgspec.json.Decoder(_MessageStart | _BlockStart | _BlockDelta | _BlockStop | _MessageDelta | _MessageStop)
_KNOWN = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    }
)


class AnthropicEvents:
    """Feed it each event; `finish` says whether the stream was whole."""

    def __init__(self) -> None:
        self._assembler = Assembler()
        self._usage = _Usage()
        self._outcome = _Outcome()
        self._open: int | None = None
        self._begun = self._done = False

    def feed(self, name: str, data: bytes) -> list[Event]:
        """Raises Malformed, or Reported for an error event. `ping` and events of later versions are passed over,
        as Anthropic's versioning policy asks."""
        if name == "error":
            raise Reported(data)
        if name not in _KNOWN:
            return []
        try:
            event = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("an event is not one of the message stream") from None
        if self._done or self._begun == isinstance(event, _MessageStart):
            raise Malformed("an event of the message stream is out of order")
        if isinstance(event, _MessageStart):
            self._begun, self._usage = True, event.message.usage
            return []
        if isinstance(event, _BlockStart):
            return self._start(event.index, event.content_block)
        if isinstance(event, _BlockDelta):
            self._check_open(event.index)
            return self._delta(event.delta)
        if isinstance(event, _BlockStop):
            self._check_open(event.index)
            self._open = None
            return self._assembler.end()
        if isinstance(event, _MessageDelta):
            self._outcome = event.delta if event.delta.stop_reason else self._outcome
            self._usage = _newer(self._usage, event.usage)
            return []
        self._done = True
        return self._stop()

    def finish(self) -> None:
        """Raises Malformed when the stream was cut."""
        if not self._done:
            raise Malformed("the stream ended before its final event")

    def _start(self, index: int, block: _Block) -> list[Event]:
        if self._open is not None:
            raise Malformed("two content blocks overlap")
        self._open = index
        assembler = self._assembler
        if block.type == "text":
            return assembler.start("text") + (assembler.text(block.text) if block.text else [])
        if block.type == "thinking":
            begun = assembler.start("reasoning")
            if block.thinking or block.signature:
                begun += assembler.reasoning(block.thinking, signature=block.signature or None)
            return begun
        if block.type == "redacted_thinking":
            return assembler.start("reasoning") + assembler.reasoning(redacted=block.data.encode())
        if block.type == "tool_use":
            begun = assembler.start_tool(block.id, block.name)
            return begun + (assembler.arguments(msgspec.json.encode(block.input).decode()) if block.input else [])
        raise Malformed("the answer holds a kind of content that nobody asked for")

    def _delta(self, piece: _Piece) -> list[Event]:
        kind = self._assembler.open_kind()
        if piece.type == "text_delta" and kind == "text":
            return self._assembler.text(piece.text)
        if piece.type == "thinking_delta" and kind == "reasoning":
            return self._assembler.reasoning(piece.thinking)
        if piece.type == "signature_delta" and kind == "reasoning":
            return self._assembler.reasoning(signature=piece.signature)
        if piece.type == "input_json_delta" and kind == "tool_use":
            return self._assembler.arguments(piece.partial_json) if piece.partial_json else []
        raise Malformed("the answer holds a kind of content that nobody asked for")

    def _check_open(self, index: int) -> None:
        if index != self._open:
            raise Malformed("an event belongs to a content block that is not open")

    def _stop(self) -> list[Event]:
        reason = _STOPS.get(self._outcome.stop_reason or "")
        if reason is None:
            raise Malformed("the answer ended for an unknown reason")
        told = self._usage
        if told.input_tokens is None or told.output_tokens is None:
            raise Malformed("the stream did not tell its usage")
        cached, written = told.cache_read_input_tokens, told.cache_creation_input_tokens
        usage = Usage(
            input=told.input_tokens + (cached or 0) + (written or 0),
            output=told.output_tokens,
            cached_input=cached,
            cache_write=written,
            reasoning=told.output_tokens_details.thinking_tokens if told.output_tokens_details else None,
        )
        return [*self._assembler.stop(reason, sequence=self._outcome.stop_sequence), usage]


def _newer(before: _Usage, now: _Usage) -> _Usage:
    """Counts are cumulative: what the later event tells replaces what the earlier told."""
    told = {name: value for name in now.__struct_fields__ if (value := getattr(now, name)) is not None}
    return msgspec.structs.replace(before, **told)
