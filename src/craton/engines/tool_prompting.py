"""Tools for models whose chat template knows none.

`write_tools` renders the tools, and the calls and results of the history, into plain text turns;
`CallReader` reads the calls back out of the text that the model writes. Between the two stands an engine's grammar,
which holds the model to exactly this form once a call has begun:

    <tool_call>
    {"name": "get_weather", "arguments": {"city": "Paris"}}
    </tool_call>

The form is the one of Nous Research's Hermes models, which many open models have seen in training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from craton.core.chat import ChatRequest, Message, Part, TextPart, Tool, ToolResultPart, ToolUsePart
from craton.core.errors import InvalidRequest
from craton.core.events import Delta, Event, PartEnded, PartStarted, TokenLogprob
from craton.engines.templates import part_text

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"
_HEADER = re.compile(r'\n\{"name": ("(?:[^"\\]|\\.)*"), "arguments": ')
_MAX_HEADER = 1_000


def callable_tools(request: ChatRequest) -> tuple[Tool, ...]:
    """The tools that the model may call now, after tool_choice. Raises InvalidRequest when the choice names none."""
    choice = request.tool_choice
    if choice.mode == "none":
        return ()
    if choice.mode == "tool":
        chosen = tuple(tool for tool in request.tools if tool.name == choice.name)
        if not chosen:
            raise InvalidRequest(f"there is no tool {choice.name!r}", "tool_choice")
        return chosen
    if choice.mode == "any" and not request.tools:
        raise InvalidRequest("a tool call is required, but there are no tools", "tool_choice")
    return request.tools


def write_tools(request: ChatRequest) -> ChatRequest:
    """The same conversation in text alone: no tools, tool uses or tool results are left in it.

    Raises Unsupported for a tool result that is not text.
    """
    tools = callable_tools(request)
    system = part_text(request.system)
    if tools:
        system = f"{system}\n\n{_manual(tools, request)}" if system else _manual(tools, request)
    return msgspec.structs.replace(
        request,
        system=(TextPart(text=system),) if system else (),
        messages=tuple(_in_text(message) for message in request.messages),
        tools=(),
    )


def header(name: str) -> str:
    """What stands between the opening mark and the arguments."""
    return f'\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": '


TRAILER = "}\n" + CALL_CLOSE
"""What stands after the arguments."""


def _manual(tools: tuple[Tool, ...], request: ChatRequest) -> str:
    listing = "\n".join(
        json.dumps(
            {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            ensure_ascii=False,
        )
        for tool in tools
    )
    when = (
        "When a function helps to answer, call it." if request.tool_choice.mode == "auto" else "Answer by a call only."
    )
    return (
        f"You can call one function. {when}\n"
        "The functions, one JSON object a line, with the JSON schema of their parameters:\n"
        f"<tools>\n{listing}\n</tools>\n"
        "A call is a JSON object with the function's name and arguments, inside tags:\n"
        f'{CALL_OPEN}\n{{"name": "the function", "arguments": {{"parameter": "value"}}}}\n{CALL_CLOSE}'
    )


def _in_text(message: Message) -> Message:
    if not any(isinstance(part, ToolUsePart | ToolResultPart) for part in message.parts):
        return message
    pieces: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolUsePart):
            arguments = json.dumps(part.arguments, ensure_ascii=False)
            pieces.append(TextPart(text=f"{CALL_OPEN}{header(part.name)}{arguments}{TRAILER}\n"))
        elif isinstance(part, ToolResultPart):
            kind = "tool_error" if part.is_error else "tool_response"
            pieces.append(TextPart(text=f"<{kind}>\n{part_text(part.content)}\n</{kind}>\n"))
        else:
            pieces.append(part)
    return Message(role=message.role, parts=tuple(pieces))


class MalformedCall(ValueError):
    """The model left the form: the grammar did not hold."""


@dataclass
class _Json:
    """Finds the end of one JSON object that arrives in fragments."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False

    def end(self, text: str) -> int | None:
        """The index just behind the object's last brace, or None when it goes on."""
        for index, letter in enumerate(text):
            if self.escaped:
                self.escaped = False
            elif self.in_string:
                self.escaped = letter == "\\"
                self.in_string = letter != '"'
            elif letter == '"':
                self.in_string = True
            elif letter in "{[":
                self.depth += 1
            elif letter in "}]":
                self.depth -= 1
                if self.depth == 0:
                    return index + 1
        return None


class CallReader:
    """Turns one choice's text into events: text parts, and a tool use part for each call.

    Holds back only what may be the beginning of a mark. new_id makes the calls' ids.
    """

    def __init__(self, new_id: Callable[[], str], choice: int = 0) -> None:
        self._new_id, self._choice = new_id, choice
        self._buffer = ""
        self._logprobs: list[TokenLogprob] = []
        self._state = self._text
        self._index = -1
        self._open = False
        self._json = _Json()
        self.calls = 0
        """How many calls have begun."""

    def feed(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> Iterator[Event]:
        """More of the model's text. Raises MalformedCall."""
        self._buffer += text
        self._logprobs.extend(logprobs)
        before = None
        while before != (self._state, self._buffer):
            before = (self._state, self._buffer)
            yield from self._state()

    def finish(self) -> Iterator[Event]:
        """The text is over, perhaps (at a token limit) in the middle of a call."""
        if self._state == self._text:
            yield from self._write(self._buffer)
        if self._open:
            yield self._end()

    def _text(self) -> Iterator[Event]:
        mark = self._buffer.find(CALL_OPEN)
        if mark < 0:
            safe = _safe_length(self._buffer)
            yield from self._write(self._buffer[:safe])
            self._buffer = self._buffer[safe:]
            return
        yield from self._write(self._buffer[:mark].rstrip())
        if self._open:
            yield self._end()
        self._buffer = self._buffer[mark + len(CALL_OPEN) :]
        self._state = self._header

    def _header(self) -> Iterator[Event]:
        match = _HEADER.match(self._buffer)
        if match is None:
            if len(self._buffer) > _MAX_HEADER:
                raise MalformedCall
            return
        self._buffer = self._buffer[match.end() :]
        self._index += 1
        self.calls += 1
        self._open, self._json, self._state = True, _Json(), self._arguments
        yield PartStarted(
            index=self._index,
            kind="tool_use",
            choice=self._choice,
            tool_id=self._new_id(),
            tool_name=json.loads(match.group(1)),
        )

    def _arguments(self) -> Iterator[Event]:
        end = self._json.end(self._buffer)
        fragment, self._buffer = self._buffer[:end], "" if end is None else self._buffer[end:]
        if fragment:
            yield self._delta(fragment)
        if end is not None:
            self._state = self._trailer
            yield self._end()

    def _trailer(self) -> Iterator[Event]:
        if self._buffer.startswith(TRAILER):
            self._buffer = self._buffer[len(TRAILER) :].lstrip()
            self._state = self._text
        elif not TRAILER.startswith(self._buffer):
            raise MalformedCall
        yield from ()

    def _write(self, text: str) -> Iterator[Event]:
        if not text or (not self._open and self.calls and not text.strip()):
            return
        if not self._open:
            self._index += 1
            self._open = True
            yield PartStarted(index=self._index, kind="text", choice=self._choice)
        yield self._delta(text)

    def _delta(self, text: str) -> Delta:
        logprobs, self._logprobs = tuple(self._logprobs), []
        return Delta(index=self._index, text=text, choice=self._choice, logprobs=logprobs)

    def _end(self) -> PartEnded:
        self._open = False
        return PartEnded(index=self._index, choice=self._choice)


def _safe_length(text: str) -> int:
    """How much of `text` cannot belong to an opening mark, or to the white space before one."""
    for size in range(min(len(text), len(CALL_OPEN) - 1), 0, -1):
        if CALL_OPEN.startswith(text[-size:]):
            return len(text[:-size].rstrip())
    return len(text.rstrip())
