"""POST /chat/completions: the body -> a `ChatRequest` and how to answer."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest, OutputSchema, ReasoningOptions, Sampling, Tool, ToolChoice
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.body import check_portable, read_body
from craton.wire.openai.members import REFUSED
from craton.wire.openai.read_messages import read_messages
from craton.wire.openai.requests import AllowedChoice, ChatBody, FunctionTool, JsonFormat, NamedTool, SchemaFormat

_DECODER = msgspec.json.Decoder(ChatBody)
_AUTO = ToolChoice()


class Asked(Struct, frozen=True):
    """What is to be answered, and in which form."""

    request: ChatRequest
    stream: bool
    include_usage: bool


def read_chat(body: bytes) -> Asked:
    """Raises InvalidRequest (with the member's place as OpenAI calls it) and Unsupported."""
    asked = read_body(_DECODER, body, REFUSED)
    options = asked.stream_options
    if options is not None:
        if not asked.stream:
            raise InvalidRequest("only with stream: true", "stream_options")
        if options.include_obfuscation:
            raise Unsupported("stream_options.include_obfuscation")
    system, messages = read_messages(asked.messages)
    tools, choice = _read_tools(asked)
    request = ChatRequest(
        asked.model,
        messages,
        system,
        tools,
        choice,
        _read_sampling(asked),
        _read_format(asked),
        _read_reasoning(asked),
    )
    return Asked(request, bool(asked.stream), options is not None and bool(options.include_usage))


def _read_sampling(asked: ChatBody) -> Sampling:
    limit, older = asked.max_completion_tokens, asked.max_tokens
    if limit is not None and older is not None and limit != older:
        raise InvalidRequest("not together with another max_completion_tokens", "max_tokens")
    if asked.top_logprobs is not None and not asked.logprobs:
        raise InvalidRequest("only with logprobs: true", "top_logprobs")
    stop = asked.stop
    return Sampling(
        max_tokens=older if limit is None else limit,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k if asked.top_k and asked.top_k > 0 else None,
        min_p=asked.min_p,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        seed=asked.seed,
        n=asked.n or 1,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
        logit_bias=asked.logit_bias or None,
    )


def _read_tools(asked: ChatBody) -> tuple[tuple[Tool, ...], ToolChoice]:
    """allowed_tools is what it says: the model is shown those alone."""
    tools = tuple(_read_tool(tool, i) for i, tool in enumerate(asked.tools or ()))
    choice, parallel = asked.tool_choice, asked.parallel_tool_calls is not False
    if choice is None:
        return tools, _AUTO if parallel else ToolChoice(parallel=False)
    if isinstance(choice, NamedTool):
        return tools, ToolChoice("tool", choice.function.name, parallel)
    if isinstance(choice, AllowedChoice):
        allowed = {tool.function.name for tool in choice.allowed_tools.tools}
        if missing := allowed - {tool.name for tool in tools}:
            raise InvalidRequest(
                f"there is no tool {min(missing)!r} among the tools", "tool_choice.allowed_tools.tools"
            )
        forced = choice.allowed_tools.mode == "required"
        shown = tuple(tool for tool in tools if tool.name in allowed)
        return shown, ToolChoice("any" if forced else "auto", parallel=parallel)
    return tools, ToolChoice("any" if choice == "required" else choice, parallel=parallel)


def _read_tool(tool: FunctionTool, index: int) -> Tool:
    function = tool.function
    if function.parameters:
        check_portable(function.parameters, f"tools[{index}].function.parameters")
    schema = function.parameters or {"type": "object", "properties": {}}
    return Tool(function.name, schema, function.description or "", bool(function.strict))


def _read_format(asked: ChatBody) -> OutputSchema | None:
    wanted = asked.response_format
    if isinstance(wanted, JsonFormat):
        return OutputSchema({})
    if isinstance(wanted, SchemaFormat):
        schema = wanted.json_schema
        check_portable(schema.schema, "response_format.json_schema.schema")
        return OutputSchema(schema.schema or {}, schema.name, bool(schema.strict))
    return None


def _read_reasoning(asked: ChatBody) -> ReasoningOptions | None:
    effort = asked.reasoning_effort
    if effort is None:
        return None
    return ReasoningOptions(enabled=False) if effort == "none" else ReasoningOptions(effort=effort)
