"""POST /v1/messages and /v1/messages/count_tokens: the body -> a `ChatRequest`."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from craton.core.chat import CacheMark, ChatRequest, OutputSchema, ReasoningOptions, Sampling, Tool, ToolChoice
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.anthropic.members import REFUSED
from craton.wire.anthropic.read_blocks import read_system, read_turns
from craton.wire.anthropic.requests import (
    AnyChoice,
    AutoChoice,
    MessagesBody,
    NamedChoice,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolDefinition,
)
from craton.wire.body import check_portable, read_body

_DECODER = msgspec.json.Decoder(MessagesBody)


class Asked(Struct, frozen=True):
    """What is to be answered, and in which form."""

    request: ChatRequest
    stream: bool


def read_message(body: bytes) -> Asked:
    """Raises InvalidRequest (with the member's place as Anthropic calls it) and Unsupported."""
    asked = read_body(_DECODER, body, REFUSED)
    if asked.max_tokens is None:
        raise InvalidRequest("it is required", "max_tokens")
    if asked.max_tokens == 0:
        raise Unsupported("max_tokens: 0, which only warms a cache,")
    if isinstance(asked.thinking, ThinkingEnabled) and asked.thinking.budget_tokens >= asked.max_tokens:
        raise InvalidRequest("it must be less than max_tokens", "thinking.budget_tokens")
    return Asked(_read_request(asked), bool(asked.stream))


def read_count(body: bytes) -> ChatRequest:
    """Raises InvalidRequest and Unsupported."""
    return _read_request(read_body(_DECODER, body, REFUSED))


def _read_request(asked: MessagesBody) -> ChatRequest:
    messages = read_turns(asked.messages)
    if asked.cache_control is not None:
        last = messages[-1]
        messages = (*messages[:-1], replace(last, parts=(*last.parts, CacheMark())))
    return ChatRequest(
        asked.model,
        messages,
        read_system(asked.system),
        tuple(_read_tool(tool, f"tools[{i}]") for i, tool in enumerate(asked.tools or ())),
        _read_choice(asked),
        Sampling(
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_k=asked.top_k or None,
            stop=tuple(asked.stop_sequences or ()),
        ),
        _read_format(asked),
        _read_reasoning(asked),
    )


def _read_tool(tool: ToolDefinition, field: str) -> Tool:
    """input_examples and defer_loading change what the model is shown, so they are refused."""
    if tool.type not in {None, "custom"}:
        raise Unsupported(
            f"The tool type {tool.type[:100]!r} ({field})" if tool.type else field, "Send your own tools."
        )
    if tool.input_schema is None:
        raise InvalidRequest("input_schema is missing", field)
    for name, asked in (
        ("defer_loading", tool.defer_loading),
        ("input_examples", tool.input_examples),
        ("allowed_callers", tool.allowed_callers not in (None, ["direct"])),
    ):
        if asked:
            raise Unsupported(f"{field}.{name}")
    check_portable(tool.input_schema, f"{field}.input_schema")
    extra = {"cache_control": True} if tool.cache_control else None
    return Tool(tool.name, tool.input_schema, tool.description or "", bool(tool.strict), extra)


def _read_choice(asked: MessagesBody) -> ToolChoice:
    choice = asked.tool_choice
    if choice is None:
        return ToolChoice()
    if isinstance(choice, AutoChoice):
        return ToolChoice(parallel=not choice.disable_parallel_tool_use)
    if isinstance(choice, AnyChoice):
        return ToolChoice("any", parallel=not choice.disable_parallel_tool_use)
    if isinstance(choice, NamedChoice):
        return ToolChoice("tool", choice.name, not choice.disable_parallel_tool_use)
    return ToolChoice("none")


def _read_format(asked: MessagesBody) -> OutputSchema | None:
    config = asked.output_config
    wanted = (config.format if config else None) or asked.output_format
    if wanted is None:
        return None
    check_portable(wanted.schema, "output_config.format.schema")
    return OutputSchema(wanted.schema)


def _read_reasoning(asked: MessagesBody) -> ReasoningOptions | None:
    """Without `thinking`, an effort would steer how long answers are, which Craton cannot do."""
    config, thinking = asked.output_config, asked.thinking
    if config is not None and config.task_budget:
        raise Unsupported("output_config.task_budget")
    effort = config.effort if config else None
    if thinking is None or isinstance(thinking, ThinkingDisabled):
        if effort not in {None, "high"}:
            raise Unsupported("output_config.effort without thinking", "Send `thinking` too.")
        return None if thinking is None else ReasoningOptions(enabled=False)
    if thinking.display == "omitted":
        raise Unsupported("thinking.display: omitted")
    budget = thinking.budget_tokens if isinstance(thinking, ThinkingEnabled) else None
    return ReasoningOptions(True, budget, effort)
