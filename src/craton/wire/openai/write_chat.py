"""A `ChatAnswer`, or its events, -> a chat completion, or its chunks. The two say the same (tests hold them to it).

Reasoning is written as `reasoning_content`, as DeepSeek's API and vLLM do. OpenAI's wire has no place for a
reasoning's signature, which is left out, nor for redacted reasoning, which is refused.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from craton.core.chat import ReasoningPart, TextPart, ToolUsePart
from craton.core.errors import CratonError, Unsupported
from craton.core.events import ChatAnswer, Choice, Delta, Event, PartStarted, Stop, StopReason, TokenLogprob, Usage
from craton.wire.http import encode_json
from craton.wire.openai.errors import describe

FINISH_REASONS: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "guardrail": "content_filter",
    "content_filter": "content_filter",
}


class Head(Struct, frozen=True):
    """What every chunk of one answer repeats. model: the caller's name for it; created: seconds since the epoch."""

    id: str
    created: int
    model: str


def write_answer(answer: ChatAnswer, head: Head) -> bytes:
    """The `chat.completion` object."""
    return encode_json(
        {
            "id": head.id,
            "object": "chat.completion",
            "created": head.created,
            "model": head.model,
            "choices": [_write_choice(choice) for choice in answer.choices],
            "usage": write_usage(answer.usage),
        }
    )


def _write_choice(choice: Choice) -> dict[str, Any]:
    texts = [part.text for part in choice.parts if isinstance(part, TextPart)]
    calls = [_write_call(part) for part in choice.parts if isinstance(part, ToolUsePart)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    message["refusal"] = None
    thoughts = [part for part in choice.parts if isinstance(part, ReasoningPart)]
    if thoughts:
        if any(part.redacted is not None for part in thoughts):
            raise _redacted()
        message["reasoning_content"] = "".join(part.text for part in thoughts)
    if calls:
        message["tool_calls"] = calls
    return {
        "index": choice.stop.choice,
        "message": message,
        "logprobs": _write_logprobs(choice.logprobs),
        "finish_reason": FINISH_REASONS[choice.stop.reason],
    }


def _write_call(part: ToolUsePart) -> dict[str, Any]:
    arguments = encode_json(part.arguments).decode() if part.broken is None else part.broken
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}


def _write_logprobs(logprobs: tuple[TokenLogprob, ...]) -> dict[str, Any] | None:
    if not logprobs:
        return None
    content = [
        {**_write_logprob(token), "top_logprobs": [_write_logprob(other) for other in token.top]} for token in logprobs
    ]
    return {"content": content, "refusal": None}


def _write_logprob(token: TokenLogprob) -> dict[str, Any]:
    data = token.bytes
    return {"token": token.token, "logprob": token.logprob, "bytes": None if data is None else list(data)}


def write_usage(usage: Usage) -> dict[str, Any]:
    """Details only where the engine tells them."""
    written: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    if usage.cached_input is not None:
        written["prompt_tokens_details"] = {"cached_tokens": usage.cached_input}
    if usage.reasoning is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return written


def _redacted() -> Unsupported:
    return Unsupported("Redacted reasoning through OpenAI's API", "Use Anthropic's or Bedrock's.")


class ChunkWriter:
    """Writes the events of one answer as `chat.completion.chunk`s (a `StreamWriter`)."""

    def __init__(self, head: Head, choices: int, include_usage: bool) -> None:
        shared = {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model}
        self._head = b"data: " + encode_json(shared)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._include_usage = include_usage
        self._unopened = choices
        self._speaking: set[int] = set()  # choices with text or tool calls
        self._calls: dict[tuple[int, int], int] = {}  # choice and part -> the call's number in its choice
        self._kinds: dict[tuple[int, int], str] = {}

    def write(self, event: Event) -> bytes:
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, PartStarted):
            return self._opening() + self._started(event)
        if isinstance(event, Stop):
            silent = b"" if event.choice in self._speaking else self._chunk(event.choice, {"content": ""})
            finish = encode_json(FINISH_REASONS[event.reason])
            return self._opening() + silent + self._chunk(event.choice, {}, finish=finish)
        if isinstance(event, Usage):
            return self._usage(event) + b"data: [DONE]\n\n"
        return b""

    def write_error(self, error: CratonError) -> bytes:
        """OpenAI's clients raise APIError for it."""
        _, body = describe(error)
        return b"data: " + encode_json(body) + b"\n\n"

    def _opening(self) -> bytes:
        """The role of every choice, in order, before anything else: clients number choices by their first chunk."""
        count, self._unopened = self._unopened, 0
        return b"".join([self._chunk(choice, {"role": "assistant"}) for choice in range(count)])

    def _started(self, event: PartStarted) -> bytes:
        place = event.choice, event.index
        self._kinds[place] = event.kind
        if event.kind == "reasoning":
            return self._chunk(event.choice, {"reasoning_content": ""})
        self._speaking.add(event.choice)
        if event.kind == "text":
            return self._chunk(event.choice, {"content": ""})
        number = sum(choice == event.choice for choice, _ in self._calls)
        self._calls[place] = number
        function = {"name": event.tool_name, "arguments": ""}
        call = {"index": number, "id": event.tool_id, "type": "function", "function": function}
        return self._chunk(event.choice, {"tool_calls": [call]})

    def _delta(self, event: Delta) -> bytes:
        if event.redacted is not None:
            raise _redacted()
        if not (event.text or event.logprobs):
            return b""
        kind = self._kinds[event.choice, event.index]
        delta: dict[str, Any]
        if kind == "text":
            delta = {"content": event.text}
        elif kind == "reasoning":
            delta = {"reasoning_content": event.text}
        else:
            number = self._calls[event.choice, event.index]
            delta = {"tool_calls": [{"index": number, "function": {"arguments": event.text}}]}
        logprobs = encode_json(_write_logprobs(event.logprobs)) if event.logprobs else b"null"
        return self._chunk(event.choice, delta, logprobs)

    def _chunk(self, choice: int, delta: dict[str, Any], logprobs: bytes = b"null", finish: bytes = b"null") -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}%b' % (
            self._head,
            choice,
            encode_json(delta),
            logprobs,
            finish,
            self._tail,
        )

    def _usage(self, usage: Usage) -> bytes:
        if not self._include_usage:
            return b""
        return self._head + b'],"usage":' + encode_json(write_usage(usage)) + b"}\n\n"
