"""core -> an Anthropic messages request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from craton.core.chat import (
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
from craton.core.errors import InvalidRequest, Unsupported
from craton.engines.upstream.words import base64_text, drop_unset, kept, refuse, refuse_sampling

WIRE = "Anthropic"
_CACHED = {"type": "ephemeral"}
TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})


class AnthropicOptions(Struct, frozen=True):
    """How to speak to one server.

    max_tokens: the answer's limit when a request names none, which this wire demands.
    version: of the API, sent as `anthropic-version`. The older one is the default because the newer takes no
    temperature, top_p or top_k, whatever the model; with it they are refused here.
    auth: how the key is sent. Anthropic takes both; some servers that speak its wire (Ollama's cloud) only "bearer".
    concurrency: requests at once.
    """

    max_tokens: int = 4096
    version: Literal["2023-06-01", "2026-10-21"] = "2023-06-01"
    auth: Literal["x-api-key", "bearer"] = "x-api-key"
    concurrency: int = 16


def write_messages(request: ChatRequest, model: str, options: AnthropicOptions) -> Json:
    """The body of a streaming request. Raises Unsupported for what this wire cannot express."""
    refuse_sampling(
        request, WIRE, "n", "seed", "min_p", "logprobs", "frequency_penalty", "presence_penalty", "logit_bias"
    )
    if options.version == "2026-10-21":
        refuse_sampling(request, f"{WIRE} {options.version}", "temperature", "top_p", "top_k")
    sampling = request.sampling
    return drop_unset(
        write_prompt(request, model)
        | {
            "max_tokens": sampling.max_tokens if sampling.max_tokens is not None else options.max_tokens,
            "stream": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "stop_sequences": list(sampling.stop) or None,
        }
    )


def write_prompt(request: ChatRequest, model: str) -> Json:
    """What the tokens of a prompt depend on: the body of count_tokens."""
    choice, wanted, reasoning = request.tool_choice, request.output_schema, request.reasoning
    if wanted is not None and not wanted.schema:
        raise Unsupported("JSON without a schema over the Anthropic wire", "Give a JSON schema.")
    effort = reasoning.effort if reasoning and reasoning.enabled else None
    if effort == "minimal":
        raise Unsupported("the effort 'minimal' over the Anthropic wire", "The least is 'low'.")
    output = drop_unset(
        {"format": {"type": "json_schema", "schema": wanted.schema} if wanted else None, "effort": effort}
    )
    return drop_unset(
        {
            "model": model,
            "messages": [_write_message(message) for message in request.messages],
            "system": _write_parts(request.system, system=True) or None,
            "tools": [_write_tool(tool) for tool in request.tools] or None,
            "tool_choice": _tool_choice(choice.mode, choice.name, choice.parallel) if request.tools else None,
            "thinking": write_thinking(request),
            "output_config": output or None,
        }
    )


def write_thinking(request: ChatRequest) -> Json | None:
    """With a budget, thinking is counted; with none, the model decides how much ("adaptive")."""
    wanted = request.reasoning
    if wanted is None:
        return None
    if not wanted.enabled:
        return {"type": "disabled"}
    if wanted.budget_tokens is not None:
        return {"type": "enabled", "budget_tokens": wanted.budget_tokens}
    return {"type": "adaptive"}


def _tool_choice(mode: str, name: str | None, parallel: bool) -> Json | None:
    if mode == "auto" and parallel:
        return None
    one = None if parallel or mode == "none" else True
    return drop_unset({"type": mode, "name": name if mode == "tool" else None, "disable_parallel_tool_use": one})


def _write_tool(tool: Tool) -> Json:
    written = {
        "name": tool.name,
        "description": tool.description or None,
        "input_schema": {"type": "object"} | tool.schema,
        "strict": tool.strict or None,
        "cache_control": _CACHED if kept(tool.extra, "cache_control") else None,
    }
    return drop_unset(written)


def _write_message(message: Message) -> Json:
    if message.name:
        raise Unsupported("names of participants over the Anthropic wire")
    return {"role": message.role, "content": _write_parts(message.parts, system=message.role == "system")}


def _write_parts(parts: Iterable[Part], *, system: bool = False) -> list[Json]:
    """A cache mark goes onto the block before it."""
    blocks: list[Json] = []
    for part in parts:
        if isinstance(part, CacheMark):
            if not blocks:
                raise InvalidRequest("a cache mark needs content before it")
            blocks[-1] = blocks[-1] | {"cache_control": _CACHED}
        elif system and not isinstance(part, TextPart):
            raise refuse(part, WIRE, " in a system message")
        else:
            blocks.append(_write_part(part))
    return blocks


def _write_part(part: Part) -> Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        source = {"type": "base64", "media_type": f"image/{part.format}", "data": base64_text(part.data)}
        return {"type": "image", "source": source}
    if isinstance(part, DocumentPart):
        return _write_document(part)
    if isinstance(part, ToolUsePart):
        if part.broken is not None:
            raise Unsupported("a tool call without valid JSON over the Anthropic wire", "Leave it out.")
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    if isinstance(part, ToolResultPart):
        written: Json = {
            "type": "tool_result",
            "tool_use_id": part.tool_use_id,
            "content": _write_parts(part.content),
        }
        return written | ({"is_error": True} if part.is_error else {})
    if isinstance(part, ReasoningPart):
        return _write_reasoning(part)
    raise refuse(part, WIRE)


def _write_document(part: DocumentPart) -> Json:
    source: Json = {"type": "base64", "media_type": "application/pdf", "data": base64_text(part.data)}
    if part.format in TEXT_FORMATS:
        try:
            source = {"type": "text", "media_type": "text/plain", "data": part.data.decode()}
        except UnicodeDecodeError:
            raise InvalidRequest(f"the document {part.name!r} is not UTF-8") from None
    elif part.format != "pdf":
        raise Unsupported(f"{part.format} documents over the Anthropic wire", "Send it as PDF or text.")
    return drop_unset({"type": "document", "source": source, "title": part.name or None})


def _write_reasoning(part: ReasoningPart) -> Json:
    if part.redacted is not None:
        try:
            return {"type": "redacted_thinking", "data": part.redacted.decode()}
        except UnicodeDecodeError:
            raise Unsupported("thoughts that another provider redacted", "Leave them out.") from None
    if part.signature is None:
        raise Unsupported("thoughts of another model over the Anthropic wire", "Leave them out.")
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
