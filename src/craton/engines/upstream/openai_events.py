"""OpenAI's chat completion chunks -> core events."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from craton.core.chat import ChatRequest
from craton.core.events import Event, StopReason, TokenLogprob, Usage
from craton.engines.upstream.assembly import Assembler
from craton.engines.upstream.failures import Malformed, Reported
from craton.engines.upstream.words import TokenCount, text_bytes

_BYTES_A_TOKEN = 4
"""Of English text, in the vocabularies of today's models; for estimates only."""

_STOPS: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function = field(default_factory=_Function)


class _Delta(Struct):
    """reasoning_content: DeepSeek, llama-server. reasoning: vLLM, Ollama, OpenRouter."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: Any = None
    audio: Any = None


class _Alternative(Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Chosen(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(Struct):
    content: list[_Chosen] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta = field(default_factory=_Delta)
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    stop_reason: str | int | None = None  # vLLM: the stop sequence or token that was met


class _InputDetails(Struct):
    cached_tokens: TokenCount | None = None
    cache_write_tokens: TokenCount | None = None


class _OutputDetails(Struct):
    reasoning_tokens: TokenCount | None = None


class _Usage(Struct):
    prompt_tokens: TokenCount = 0
    completion_tokens: TokenCount = 0
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: TokenCount | None = None  # DeepSeek


class Chunk(Struct):
    """One event's data. error: servers that fail in the middle send it instead of choices."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(Chunk)


class OpenAIEvents:
    """Feed it each event's data; `finish` gives the last events."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._assembler = Assembler()
        self._usage: _Usage | None = None
        self._calls: dict[tuple[int, int], str] = {}
        self._open_call: dict[int, tuple[int, str]] = {}
        self._refused: set[int] = set()
        self._done = False

    def feed(self, data: bytes) -> list[Event]:
        """Raises Malformed, or Reported for an error object."""
        if self._done:
            raise Malformed("the stream went on after its end")
        if data.strip() == b"[DONE]":
            self._done = True
            return []
        try:
            chunk = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("an event is not a chat completion chunk") from None
        if chunk.error is not None:
            raise Reported(data)
        self._usage = chunk.usage or self._usage
        return [event for choice in chunk.choices for event in self._choice(choice)]

    def finish(self) -> list[Event]:
        """The usage. Raises Malformed when the stream was cut, or the server ignored what was asked."""
        progress, sampling = self._assembler.progress, self._request.sampling
        if not progress.stopped or not (self._done or self._usage):
            raise Malformed("the stream ended before its final event")
        if progress.stopped != sampling.n:
            raise Malformed(f"{sampling.n} answers were asked for, {progress.stopped} came")
        if sampling.logprobs is not None and progress.deltas and not progress.logprobs:
            raise Malformed("log probabilities were asked for, none came")
        return [self._count(progress.deltas)]

    def _choice(self, choice: _Choice) -> list[Event]:
        delta, index = choice.delta, choice.index
        if not 0 <= index < self._request.sampling.n:
            raise Malformed("an answer came that was not asked for")
        if delta.audio is not None or delta.function_call is not None:
            raise Malformed("the answer holds audio or a call of the old kind, which nobody asked for")
        events: list[Event] = []
        if thoughts := delta.reasoning_content or delta.reasoning:
            events += self._assembler.reasoning(thoughts, index)
        logprobs = tuple(_logprob(chosen) for chosen in (choice.logprobs and choice.logprobs.content) or ())
        if text := (delta.content or "") + (delta.refusal or ""):
            events += self._assembler.text(text, index, logprobs)
        if delta.refusal:
            self._refused.add(index)
        for call in delta.tool_calls or ():
            events += self._call(call, index)
        if choice.finish_reason:
            events += self._stop(choice)
        return events

    def _call(self, call: _ToolCall, choice: int) -> list[Event]:
        """A new call has a new index, or (servers that send every index as 0) a new id."""
        index, name, text = call.index or 0, call.function.name, call.function.arguments or ""
        opened = self._open_call.get(choice) if self._assembler.open_kind(choice) == "tool_use" else None
        events: list[Event] = []
        if opened is None or opened[0] != index or (call.id and call.id != opened[1]):
            if not name:
                raise Malformed("the tool calls of an answer are interleaved, or one has no name")
            tool_id = call.id or f"call_{choice}_{len(self._calls)}"
            if tool_id in self._calls.values():
                raise Malformed("two tool calls have the same id")
            self._calls[choice, len(self._calls)] = tool_id
            self._open_call[choice] = (index, tool_id)
            events += self._assembler.start_tool(tool_id, name, choice)
        return events + (self._assembler.arguments(text, choice) if text else [])

    def _stop(self, choice: _Choice) -> list[Event]:
        reason = _STOPS.get(choice.finish_reason or "")
        if reason is None:
            raise Malformed("the answer ended for an unknown reason")
        sequence = choice.stop_reason if choice.stop_reason in self._request.sampling.stop else None
        if reason == "end_turn":
            if choice.index in self._refused:
                reason = "content_filter"
            elif self._assembler.used_tools(choice.index):
                reason = "tool_use"
            elif sequence:
                reason = "stop_sequence"
        return self._assembler.stop(reason, choice.index, str(sequence) if reason == "stop_sequence" else None)

    def _count(self, deltas: int) -> Usage:
        told = self._usage
        if told is None:
            return Usage(-(-text_bytes(self._request) // _BYTES_A_TOKEN), deltas, estimated=True)
        details = told.prompt_tokens_details or _InputDetails()
        cached = details.cached_tokens
        return Usage(
            input=told.prompt_tokens,
            output=told.completion_tokens,
            cached_input=cached if cached is not None else told.prompt_cache_hit_tokens,
            cache_write=details.cache_write_tokens,
            reasoning=told.completion_tokens_details.reasoning_tokens if told.completion_tokens_details else None,
        )


def _logprob(chosen: _Chosen) -> TokenLogprob:
    return TokenLogprob(
        chosen.token,
        chosen.logprob,
        _octets(chosen.bytes),
        tuple(TokenLogprob(other.token, other.logprob, _octets(other.bytes)) for other in chosen.top_logprobs),
    )


def _octets(values: list[int] | None) -> bytes | None:
    try:
        return None if values is None else bytes(values)
    except ValueError:
        raise Malformed("the bytes of a token are not bytes") from None
