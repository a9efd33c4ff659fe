"""ConverseStream's frames -> core events. botocore checks and decodes the frames."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.events import Event, StopReason, Usage
from craton.engines.upstream.assembly import Assembler
from craton.engines.upstream.failures import Malformed, Reported
from craton.engines.upstream.words import TokenCount

_STOPS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "guardrail",
    "content_filtered": "content_filter",
}


class Frame(Struct, frozen=True):
    """kind: "event" or "exception"; name: of the event or exception."""

    kind: str
    name: str
    payload: bytes


class _ToolStart(Struct):
    toolUseId: str
    name: str
    type: str | None = None


class _Start(Struct):
    toolUse: _ToolStart | None = None


class _BlockStart(Struct):
    contentBlockIndex: int
    start: _Start


class _ToolDelta(Struct):
    input: str


class _Reasoning(Struct):
    text: str | None = None
    redactedContent: str | None = None
    signature: str | None = None


class _Delta(Struct):
    text: str | None = None
    toolUse: _ToolDelta | None = None
    reasoningContent: _Reasoning | None = None


class _BlockDelta(Struct):
    contentBlockIndex: int
    delta: _Delta


class _BlockStop(Struct):
    contentBlockIndex: int


class _MessageStop(Struct):
    stopReason: str
    additionalModelResponseFields: Any = None


class _Tokens(Struct):
    """inputTokens: only what was neither read from nor written to the cache."""

    inputTokens: TokenCount
    outputTokens: TokenCount
    cacheReadInputTokens: TokenCount | None = None
    cacheWriteInputTokens: TokenCount | None = None


class _Metadata(Struct):
    usage: _Tokens


async def read_frames(pieces: AsyncIterator[bytes]) -> AsyncIterator[Frame]:
    """Raises Malformed for broken frames, and when the body ends inside one."""
    from botocore.eventstream import EventStreamBuffer, ParserError

    buffer = EventStreamBuffer()
    received = consumed = 0
    async for piece in pieces:
        received += len(piece)
        buffer.add_data(piece)
        try:
            for message in buffer:
                consumed += message.prelude.total_length
                headers = {name: str(value) for name, value in message.headers.items()}
                kind = headers.get(":message-type", "event")
                name = headers.get(
                    {"event": ":event-type", "exception": ":exception-type"}.get(kind, ":error-code"), ""
                )
                yield Frame(kind, name, message.payload)
        except (ParserError, UnicodeDecodeError, ValueError, KeyError):
            raise Malformed("a frame of the event stream is broken") from None
    if received != consumed:
        raise Malformed("the stream ended inside a frame")


class BedrockEvents:
    """Feed it each frame; `finish` says whether the stream was whole."""

    def __init__(self) -> None:
        self._assembler = Assembler()
        self._stop: StopReason | None = None
        self._done = False

    def feed(self, frame: Frame) -> list[Event]:
        """Raises Malformed, or Reported for an exception frame. Unknown events are passed over: the API grows."""
        if frame.kind != "event":
            raise Reported(frame.payload, {"x-amzn-errortype": frame.name})
        if self._done:
            raise Malformed("the stream went on after its end")
        try:
            return self._event(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("an event is not one of the Converse stream") from None

    def finish(self) -> None:
        """Raises Malformed when the stream was cut."""
        if not self._done:
            raise Malformed("the stream ended before its final event")

    def _event(self, frame: Frame) -> list[Event]:
        payload, assembler = frame.payload, self._assembler
        if frame.name == "contentBlockStart":
            started = msgspec.json.decode(payload, type=_BlockStart).start.toolUse
            if started is None or started.type is not None:
                raise Malformed("the answer holds a kind of content that nobody asked for")
            return assembler.start_tool(started.toolUseId, started.name)
        if frame.name == "contentBlockDelta":
            return self._delta(msgspec.json.decode(payload, type=_BlockDelta).delta)
        if frame.name == "contentBlockStop":
            return assembler.end()
        if frame.name == "messageStop":
            told = msgspec.json.decode(payload, type=_MessageStop)
            self._stop = _STOPS.get(told.stopReason)
            if self._stop is None:
                raise Malformed("the answer ended for an unknown reason")
            fields = told.additionalModelResponseFields
            sequence = fields.get("stop_sequence") if isinstance(fields, dict) else None
            return assembler.stop(self._stop, sequence=sequence if isinstance(sequence, str) else None)
        if frame.name == "metadata":
            if self._stop is None:
                raise Malformed("the usage came before the end of the answer")
            self._done = True
            return [_usage(msgspec.json.decode(payload, type=_Metadata).usage)]
        return []

    def _delta(self, delta: _Delta) -> list[Event]:
        """Text and reasoning begin without a start event."""
        if delta.text is not None:
            return self._assembler.text(delta.text)
        if delta.toolUse is not None:
            return self._assembler.arguments(delta.toolUse.input) if delta.toolUse.input else []
        if (thought := delta.reasoningContent) is not None:
            redacted = _blob(thought.redactedContent) if thought.redactedContent is not None else None
            return self._assembler.reasoning(thought.text or "", signature=thought.signature, redacted=redacted)
        raise Malformed("the answer holds a kind of content that nobody asked for")


def _usage(told: _Tokens) -> Usage:
    cached, written = told.cacheReadInputTokens, told.cacheWriteInputTokens
    return Usage(
        input=told.inputTokens + (cached or 0) + (written or 0),
        output=told.outputTokens,
        cached_input=cached,
        cache_write=written,
    )


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("redacted content is not base64") from None
