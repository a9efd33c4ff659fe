"""core -> a Bedrock Converse request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import Unsupported
from craton.engines.upstream.words import base64_text, drop_unset, kept, refuse, refuse_sampling

WIRE = "Bedrock"


class BedrockOptions(Struct, frozen=True):
    """embed_purpose: Cohere's input_type, which its models demand. concurrency: requests at once."""

    embed_purpose: str = "search_document"
    concurrency: int = 16


def write_converse(request: ChatRequest, model: str) -> Json:
    """The body of Converse and ConverseStream. Raises Unsupported for what they cannot express."""
    refuse_sampling(
        request, WIRE, "n", "seed", "min_p", "logprobs", "frequency_penalty", "presence_penalty", "logit_bias"
    )
    sampling = request.sampling
    inference = {
        "maxTokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "stopSequences": list(sampling.stop) or None,
    }
    effort = request.reasoning.effort if request.reasoning and request.reasoning.enabled else None
    output = {"textFormat": _output_format(request), "effort": effort}
    body = {
        **write_prompt(request, model),
        "inferenceConfig": drop_unset(inference) or None,
        "outputConfig": drop_unset(output) or None,
        "requestMetadata": kept(request.extra, "requestMetadata"),
    }
    return drop_unset(body)


def write_prompt(request: ChatRequest, model: str) -> Json:
    """What the tokens of a prompt depend on: the body of CountTokens."""
    return drop_unset(
        {
            "messages": [_write_message(message) for message in request.messages],
            "system": _write_parts(request.system, system=True) or None,
            "toolConfig": _tools(request),
            "additionalModelRequestFields": _model_fields(request, model) or None,
        }
    )


def is_claude(model: str) -> bool:
    return "anthropic.claude" in model


def _model_fields(request: ChatRequest, model: str) -> Json:
    """What Converse has no word for, but the model's own fields do. Only Claude's are written."""
    wanted, top_k = request.reasoning, request.sampling.top_k
    if not is_claude(model):
        if top_k is not None:
            raise Unsupported(f"sampling.top_k with {model} over the Bedrock wire")
        if wanted is not None and (not wanted.enabled or wanted.budget_tokens is not None):
            raise Unsupported(f"a switch or budget for thinking with {model} over the Bedrock wire")
        return {}
    thinking: Any = None
    if wanted is not None:
        thinking = {"type": "adaptive" if wanted.enabled else "disabled"}
        if wanted.enabled and wanted.budget_tokens is not None:
            thinking = {"type": "enabled", "budget_tokens": wanted.budget_tokens}
    return drop_unset({"top_k": top_k, "thinking": thinking})


def _tools(request: ChatRequest) -> Json | None:
    if not request.tools:
        return None
    choice = request.tool_choice
    if choice.mode == "none":
        raise Unsupported("tools that may not be called over the Bedrock wire", "Leave the tools out.")
    if not choice.parallel:
        raise Unsupported("one tool call at a time over the Bedrock wire")
    tools: list[Json] = []
    for tool in request.tools:
        specification = {
            "name": tool.name,
            "description": tool.description or None,
            "inputSchema": {"json": tool.schema},
            "strict": tool.strict or None,
        }
        tools.append({"toolSpec": drop_unset(specification)})
        if point := kept(tool.extra, "cachePoint"):
            tools.append({"cachePoint": point})
    modes: dict[str, Json] = {"any": {"any": {}}, "tool": {"tool": {"name": choice.name}}}
    return drop_unset({"tools": tools, "toolChoice": modes.get(choice.mode)})


def _output_format(request: ChatRequest) -> Json | None:
    wanted = request.output_schema
    if wanted is None:
        return None
    if not wanted.schema:
        raise Unsupported("JSON without a schema over the Bedrock wire", "Give a JSON schema.")
    schema = {"schema": msgspec.json.encode(wanted.schema).decode(), "name": wanted.name}
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _write_message(message: Message) -> Json:
    if message.name:
        raise Unsupported("names of participants over the Bedrock wire")
    return {"role": message.role, "content": _write_parts(message.parts, system=message.role == "system")}


def _write_parts(parts: Iterable[Part], *, system: bool = False) -> list[Json]:
    blocks: list[Json] = []
    for part in parts:
        if system and not isinstance(part, TextPart | CacheMark):
            raise refuse(part, WIRE, " in a system message")
        blocks.append(_write_part(part))
    return blocks


def _write_part(part: Part) -> Json:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, CacheMark):
        return {"cachePoint": kept(part.extra, "cachePoint") or {"type": "default"}}
    if isinstance(part, ImagePart):
        return {"image": {"format": part.format, "source": {"bytes": base64_text(part.data)}}}
    if isinstance(part, AudioPart):
        return {"audio": {"format": part.format, "source": {"bytes": base64_text(part.data)}}}
    if isinstance(part, DocumentPart):
        source = {"bytes": base64_text(part.data)}
        return {"document": {"format": part.format, "name": part.name, "source": source}}
    if isinstance(part, ToolUsePart):
        if part.broken is not None:
            raise Unsupported("a tool call without valid JSON over the Bedrock wire", "Leave it out.")
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": part.arguments}}
    if isinstance(part, ToolResultPart):
        return {
            "toolResult": {
                "toolUseId": part.tool_use_id,
                "content": [_write_result(piece) for piece in part.content],
                "status": "error" if part.is_error else "success",
            }
        }
    if isinstance(part, ReasoningPart):
        if part.redacted is not None:
            return {"reasoningContent": {"redactedContent": base64_text(part.redacted)}}
        return {"reasoningContent": {"reasoningText": drop_unset({"text": part.text, "signature": part.signature})}}
    raise refuse(part, WIRE)


def _write_result(part: Part) -> Json:
    """JSON that came as such goes out as such."""
    if isinstance(part, TextPart) and (value := kept(part.extra, "json")) is not None:
        return {"json": value}
    return _write_part(part)
