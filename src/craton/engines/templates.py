"""Chat templates: Jinja from strangers, rendered in a sandbox the way Hugging Face transformers renders them.

The sandbox stops code. Time and memory are bounded by the process that calls this (the checking process, a worker);
what can be bounded here is: the output, `range`, repetition and powers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from craton.core.chat import (
    CacheMark,
    CitationPart,
    Json,
    Message,
    ReasoningPart,
    TextPart,
    Tool,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import InvalidRequest, Unsupported

MAX_OUTPUT = 8_000_000
"""Characters that a rendered prompt may have: more than any context holds."""

_MAX_REPEATED = 1_000_000
_MAX_POWER = 64


class _Refused(jinja2.TemplateError):
    """The template called `raise_exception`, or asked for something over a bound."""


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Immutable values, no attributes of Python's own, and no operator that makes much out of little."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not (abs(left) <= 2**32 and abs(right) <= _MAX_POWER):
            raise _Refused("a power is too large")
        if operator == "*":
            for sequence, count in ((left, right), (right, left)):
                if isinstance(sequence, str | list | tuple) and len(sequence) * count > _MAX_REPEATED:
                    raise _Refused("a repetition is too long")
            if isinstance(left, int) and isinstance(right, int) and max(abs(left), abs(right)) > 2**64:
                raise _Refused("a number is too large")
        return super().call_binop(context, operator, left, right)


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks the assistant's words for training; here only its body matters."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it as an instance attribute)

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render(
    template: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
    bos_token: str = "",
    eos_token: str = "",
    now: datetime | None = None,
    max_output: int = MAX_OUTPUT,
    **kwargs: Any,
) -> str:
    """The prompt that `template` makes of `messages` (the template's form: see `template_messages`).

    now: the time for `strftime_now`; the clock's when None. kwargs: further variables ("enable_thinking").
    Raises InvalidRequest when the template refuses these messages, is not valid, or writes more than `max_output`
    characters.
    """

    def strftime_now(form: str) -> str:
        return (now or datetime.now()).strftime(form)

    try:
        pieces = _compiled(template).generate(
            messages=messages,
            tools=tools,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            bos_token=bos_token,
            eos_token=eos_token,
            strftime_now=strftime_now,
            raise_exception=_raise_exception,
            **kwargs,
        )
        return _joined(pieces, max_output)
    except _Refused as error:
        raise InvalidRequest(f"the chat template refused the conversation: {error}", "messages") from error
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InvalidRequest(f"the chat template failed: {type(error).__name__}", "messages") from error
    except RecursionError as error:
        raise InvalidRequest("the chat template recurses without end", "messages") from error


def knows_tools(template: str, bos_token: str = "", eos_token: str = "") -> bool:
    """Whether the template writes the tools it is given: rendered with and without one, the prompts differ."""
    tool = {
        "type": "function",
        "function": {
            "name": "craton_probe",
            "description": "A probe.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "A city."}}},
        },
    }
    messages = [{"role": "user", "content": "Hi"}]
    try:
        plain, with_tool = (
            render(template, messages, tools=tools, bos_token=bos_token, eos_token=eos_token)
            for tools in (None, [tool])
        )
    except InvalidRequest:
        return False
    return plain != with_tool


def template_messages(messages: Iterable[Message], system: str = "") -> list[Json]:
    """Core messages as the dicts that chat templates expect (the form of OpenAI's chat API, which they all follow).

    Raises Unsupported for content that a text template cannot hold (images, documents, audio, redacted reasoning).
    """
    result: list[Json] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        result.extend(_turns(message))
    return result


def template_tools(tools: Iterable[Tool]) -> list[Json]:
    """Tools as the dicts that chat templates expect."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
        }
        for tool in tools
    ]


def part_text(parts: Iterable[Any]) -> str:
    """The text of parts that hold nothing else. Raises Unsupported for the rest."""
    pieces = []
    for part in parts:
        if isinstance(part, TextPart | CitationPart):
            pieces.append(part.text)
        elif not isinstance(part, CacheMark):
            raise Unsupported(f"{type(part).__name__.removesuffix('Part').lower()} content in a text model's prompt")
    return "".join(pieces)


def _turns(message: Message) -> list[Json]:
    """One message; tool results, which stand in a user message here, become turns of their own before it."""
    turns: list[Json] = [
        {"role": "tool", "tool_call_id": part.tool_use_id, "content": part_text(part.content)}
        for part in message.parts
        if isinstance(part, ToolResultPart)
    ]
    calls = [part for part in message.parts if isinstance(part, ToolUsePart)]
    thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
    if any(part.redacted for part in thoughts):
        raise Unsupported("redacted reasoning of another provider's model")
    rest = [part for part in message.parts if not isinstance(part, ToolResultPart | ToolUsePart | ReasoningPart)]
    if not rest and turns and not calls:
        return turns
    turn: Json = {"role": message.role, "content": part_text(rest)}
    if thoughts:
        turn["reasoning_content"] = "".join(part.text for part in thoughts)
    if calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return [*turns, turn]


@lru_cache(maxsize=8)
def _compiled(template: str) -> jinja2.Template:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols], cache_size=0
    )
    environment.filters["tojson"] = _tojson
    return environment.from_string(template)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """transformers' `tojson`: unlike Jinja's own it escapes no HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise _Refused(str(message)[:200])


def _joined(pieces: Iterable[str], limit: int) -> str:
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise InvalidRequest(f"the chat template wrote more than {limit:,} characters", "messages")
        kept.append(piece)
    return "".join(kept)
