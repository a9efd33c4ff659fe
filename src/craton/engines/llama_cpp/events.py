"""llama.cpp's chunks (the form of OpenAI's chat and completion streams) as core events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from craton.core.chat import Json
from craton.core.errors import ContextExceeded, CratonError, InvalidRequest, ModelFailed
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, StopReason, TokenLogprob, Usage

_REASONS: dict[str, StopReason] = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def failure(model: str, error: Json) -> CratonError:
    """The typed error for llama.cpp's error object. Its own words are kept to what a client sent or asked."""
    if error.get("type") == "exceed_context_size_error":
        return ContextExceeded(model, int(error["n_ctx"]), int(error["n_prompt_tokens"]))
    if error.get("type") == "invalid_request_error":
        message = str(error.get("message", ""))
        if "grammar" in message or "schema" in message:
            return InvalidRequest("the schema cannot be compiled")
        return InvalidRequest("the model's engine refused the request")
    return ModelFailed(model, "its engine reported an error")


def usage(chunk: Json) -> Usage | None:
    """The token counts that a chunk carries. cached_input: prompt tokens found in the slot's cache."""
    counts = chunk.get("usage")
    if not counts:
        return None
    details = counts.get("prompt_tokens_details") or {}
    return Usage(
        input=counts["prompt_tokens"], output=counts["completion_tokens"], cached_input=details.get("cached_tokens")
    )


def added(one: Usage | None, other: Usage) -> Usage:
    """Usage of two runs over one prompt: it is counted once, the output twice."""
    if one is None:
        return other
    return Usage(input=one.input, output=one.output + other.output, cached_input=one.cached_input)


def stopping_word(chunk: Json) -> str | None:
    """The stop string that ended the answer (only in the last chunk of a verbose request)."""
    return (chunk.get("__verbose") or {}).get("stopping_word") or None


def logprobs(choice: Json, wanted: int | None) -> tuple[TokenLogprob, ...]:
    """The tokens' probabilities, with `wanted` alternatives."""
    if wanted is None or not choice.get("logprobs"):
        return ()
    return tuple(_logprob(entry, wanted) for entry in choice["logprobs"]["content"])


def stop_event(chunk: Json, choice: Json) -> Stop:
    word = stopping_word(chunk)
    reason = "stop_sequence" if word else _REASONS.get(choice["finish_reason"], "end_turn")
    return Stop(reason=reason, choice=choice["index"], sequence=word)


class ChatReader:
    """Reads the chunks of a chat request, where llama.cpp's parser has split text, reasoning and tool calls."""

    def __init__(self, wanted_logprobs: int | None) -> None:
        self._wanted = wanted_logprobs
        self._choices: dict[int, _Choice] = {}
        self.usage: Usage | None = None

    def feed(self, chunk: Json) -> Iterator[Event]:
        counted = usage(chunk)
        if counted is not None:
            self.usage = added(self.usage, counted)
        for choice in chunk.get("choices", ()):
            state = self._choices.setdefault(choice["index"], _Choice(choice["index"]))
            yield from state.read(choice.get("delta") or {}, logprobs(choice, self._wanted))
            if choice.get("finish_reason"):
                yield from state.end()
                yield stop_event(chunk, choice)


class _Choice:
    def __init__(self, number: int) -> None:
        self._number = number
        self._index = -1
        self._open: tuple[str, int] | None = None
        self._waiting: tuple[TokenLogprob, ...] = ()

    def read(self, delta: Json, probabilities: tuple[TokenLogprob, ...]) -> Iterator[Event]:
        self._waiting += probabilities
        if delta.get("reasoning_content"):
            yield from self._part("reasoning", 0)
            yield self._delta(delta["reasoning_content"])
        text = delta.get("content") or ""
        if self._open == ("reasoning", 0):  # lines that stand between thoughts and answer are of neither
            text = text.lstrip("\n")
        if text:
            yield from self._part("text", 0)
            yield self._delta(text)
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            yield from self._part("tool_use", call.get("index", 0), call.get("id") or "", function.get("name") or "")
            if function.get("arguments"):
                yield self._delta(function["arguments"])

    def end(self) -> Iterator[Event]:
        if self._open is not None:
            self._open = None
            yield PartEnded(index=self._index, choice=self._number)

    def _part(
        self, kind: Literal["text", "reasoning", "tool_use"], place: int, tool_id: str = "", name: str = ""
    ) -> Iterator[Event]:
        if self._open == (kind, place):
            return
        yield from self.end()
        self._open = (kind, place)
        self._index += 1
        yield PartStarted(index=self._index, kind=kind, choice=self._number, tool_id=tool_id, tool_name=name)

    def _delta(self, text: str) -> Delta:
        waiting, self._waiting = self._waiting, ()
        return Delta(index=self._index, text=text, choice=self._number, logprobs=waiting)


def _logprob(entry: dict[str, Any], wanted: int) -> TokenLogprob:
    return TokenLogprob(
        token=entry["token"],
        logprob=entry["logprob"],
        bytes=bytes(entry.get("bytes") or ()),
        top=tuple(_logprob(other, 0) for other in (entry.get("top_logprobs") or ())[:wanted]),
    )
