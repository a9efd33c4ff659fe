"""core -> an OpenAI chat completion request."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from craton.core.chat import (
    AudioPart,
    CacheMark,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Json,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    Tool,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import Unsupported
from craton.engines.upstream.words import base64_text, drop_unset, kept, refuse, refuse_sampling

WIRE = "OpenAI"


class OpenAIOptions(Struct, frozen=True):
    """In what the servers that speak this wire differ. The defaults suit vLLM, Ollama, llama-server and Craton.

    max_tokens: the field for the answer's limit. wide_sampling: top_k and min_p are understood.
    system_role: what instructions are called. thinking: how thinking is asked for: "effort" (reasoning_effort;
    "none" switches it off), "switch" (DeepSeek: thinking.type beside it), "template" (vLLM, SGLang, llama-server:
    chat_template_kwargs.enable_thinking). thoughts: the field in which earlier thoughts go back, or "refused".
    stream_usage: ask for usage at the end of the stream. concurrency: requests at once.
    """

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    wide_sampling: bool = True
    system_role: Literal["system", "developer"] = "system"
    thinking: Literal["effort", "switch", "template"] = "effort"
    thoughts: Literal["reasoning_content", "reasoning", "refused"] = "reasoning_content"
    stream_usage: bool = True
    concurrency: int = 16


OPENAI = OpenAIOptions(
    max_tokens="max_completion_tokens", wide_sampling=False, system_role="developer", thoughts="refused"
)
"""OpenAI's own host."""

DEEPSEEK = OpenAIOptions(wide_sampling=False, thinking="switch")
"""DeepSeek's own host. It wants the thoughts of turns that called tools back."""


def write_chat(request: ChatRequest, model: str, options: OpenAIOptions) -> Json:
    """The body. Raises Unsupported for what this wire, or this server, cannot express.

    Cache marks are left out: they are advice, and servers of this kind cache prefixes by themselves.
    """
    if not options.wide_sampling:
        refuse_sampling(request, WIRE, "top_k", "min_p")
    sampling = request.sampling
    messages: list[Json] = []
    if request.system:
        messages.append({"role": options.system_role, "content": _texts(request.system, " in a system message")})
    for message in request.messages:
        messages += _write_message(message, options)
    body: Json = {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True} if options.stream_usage else None,
        options.max_tokens: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "n": sampling.n if sampling.n > 1 else None,
        "logprobs": True if sampling.logprobs is not None else None,
        "top_logprobs": sampling.logprobs or None,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "logit_bias": {str(token): bias for token, bias in (sampling.logit_bias or {}).items()} or None,
        "response_format": _output_format(request),
        **_tools(request),
    }
    return drop_unset(body | _thinking(request, options))


def _tools(request: ChatRequest) -> Json:
    if not request.tools:
        return {}
    choice = request.tool_choice
    named: Any = {"auto": None, "any": "required", "none": "none"}.get(choice.mode)
    if choice.mode == "tool":
        named = {"type": "function", "function": {"name": choice.name}}
    return {
        "tools": [_write_tool(tool) for tool in request.tools],
        "tool_choice": named,
        "parallel_tool_calls": None if choice.parallel else False,
    }


def _write_tool(tool: Tool) -> Json:
    function = {
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.schema,
        "strict": tool.strict or None,
    }
    return {"type": "function", "function": drop_unset(function)}


def _output_format(request: ChatRequest) -> Json | None:
    wanted = request.output_schema
    if wanted is None:
        return None
    if not wanted.schema:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict},
    }


def _thinking(request: ChatRequest, options: OpenAIOptions) -> Json:
    wanted = request.reasoning
    if wanted is None:
        return {}
    if wanted.budget_tokens is not None:
        raise Unsupported("a budget of thinking tokens over the OpenAI wire", "Ask for an effort instead.")
    if options.thinking == "template":
        if wanted.effort is not None:
            raise Unsupported("an effort of thinking with this provider", "Switch thinking on or off instead.")
        return {"chat_template_kwargs": {"enable_thinking": wanted.enabled}}
    if options.thinking == "switch":
        effort = wanted.effort if wanted.enabled else None
        return {"thinking": {"type": "enabled" if wanted.enabled else "disabled"}, "reasoning_effort": effort}
    return {"reasoning_effort": (wanted.effort or "medium") if wanted.enabled else "none"}


def _write_message(message: Message, options: OpenAIOptions) -> list[Json]:
    if message.role == "system":
        return [
            _named({"role": options.system_role, "content": _texts(message.parts, " in a system message")}, message)
        ]
    if message.role == "assistant":
        return [_named(_write_assistant(message.parts, options), message)]
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    rest = [part for part in message.parts if not isinstance(part, ToolResultPart | CacheMark)]
    written = [_write_result(part) for part in results]  # they must directly follow the turn that called
    if rest or not results:
        content = [_write_content(part) for part in rest]
        alone = len(content) == 1 and set(content[0]) == {"type", "text"}
        written.append(_named({"role": "user", "content": content[0]["text"] if alone else content}, message))
    return written


def _named(written: Json, message: Message) -> Json:
    return written | {"name": message.name} if message.name else written


def _write_assistant(parts: tuple[Part, ...], options: OpenAIOptions) -> Json:
    texts = tuple(part for part in parts if not isinstance(part, ToolUsePart | ReasoningPart | CacheMark))
    thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
    calls = [part for part in parts if isinstance(part, ToolUsePart)]
    written: Json = {"role": "assistant", "content": _texts(texts, " of the assistant") if texts else None}
    if thoughts:
        if options.thoughts == "refused":
            raise Unsupported("earlier thoughts in a conversation with this provider", "Leave them out.")
        if any(part.redacted is not None for part in thoughts):
            raise Unsupported("redacted thoughts over the OpenAI wire", "Only the provider that made them reads them.")
        written[options.thoughts] = "".join(part.text for part in thoughts)
    if calls:
        written["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call)},
            }
            for call in calls
        ]
    return written


def _arguments(call: ToolUsePart) -> str:
    return msgspec.json.encode(call.arguments).decode() if call.broken is None else call.broken


def _write_result(part: ToolResultPart) -> Json:
    """This wire has no flag for a failed tool, so its text says so."""
    text = _texts(part.content, " in a tool result") if part.content else ""
    if part.is_error:
        text = [{"type": "text", "text": "Error: "}, *text] if isinstance(text, list) else f"Error: {text}"
    return {"role": "tool", "tool_call_id": part.tool_use_id, "content": text}


def _texts(parts: tuple[Part, ...], where: str) -> str | list[Json]:
    """A plain string for one text, which every server reads; else a list."""
    written: list[Json] = []
    for part in parts:
        if isinstance(part, CacheMark):
            continue
        if not isinstance(part, TextPart):
            raise refuse(part, WIRE, where)
        written.append(_write_content(part))
    alone = len(written) == 1 and set(written[0]) == {"type", "text"}
    return str(written[0]["text"]) if alone else written


def _write_content(part: Part) -> Json:
    if isinstance(part, TextPart):
        if kept(part.extra, "refusal"):
            return {"type": "refusal", "refusal": part.text}
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        url = f"data:image/{part.format};base64,{base64_text(part.data)}"
        return {"type": "image_url", "image_url": drop_unset({"url": url, "detail": kept(part.extra, "detail")})}
    if isinstance(part, AudioPart) and part.format in ("wav", "mp3"):
        return {"type": "input_audio", "input_audio": {"data": base64_text(part.data), "format": part.format}}
    if isinstance(part, DocumentPart) and part.format == "pdf":
        data = f"data:application/pdf;base64,{base64_text(part.data)}"
        return {"type": "file", "file": {"filename": part.name, "file_data": data}}
    if isinstance(part, AudioPart | DocumentPart):
        raise Unsupported(f"{part.format} content over the OpenAI wire")
    raise refuse(part, WIRE)
