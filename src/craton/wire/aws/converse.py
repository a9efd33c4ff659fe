"""Converse and ConverseStream requests, read into `ChatRequest`.

Takes the values that `service.Operation.parse` made: their types, enums and bounds have been checked against the
service model. What Craton cannot represent raises Unsupported; nothing is dropped.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from craton.core.chat import ChatRequest, Json, Message, OutputSchema, Part, Tool, ToolChoice
from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.aws.blocks import read_block
from craton.wire.aws.names import model_name
from craton.wire.aws.sampling import read_effort, read_sampling

_REFUSED = {
    "guardrailConfig": "Guardrails come in a later release; leave guardrailConfig out.",
    "promptVariables": "Prompt management is not there; put the prompt into messages.",
}


def read_converse(value: Json) -> ChatRequest:
    """Raises InvalidRequest, and Unsupported for guardrails, managed prompts, video and citations."""
    for name, hint in _REFUSED.items():
        if value.get(name):
            raise Unsupported(name, hint)
    if value.get("performanceConfig", {}).get("latency") == "optimized":
        raise Unsupported("The performanceConfig latency 'optimized'", "Use 'standard'.")
    tools = _read_tools(value.get("toolConfig", {}))
    output = value.get("outputConfig", {})
    sampling, reasoning = read_sampling(value.get("inferenceConfig", {}), value.get("additionalModelRequestFields"))
    kept = {name: value[name] for name in ("requestMetadata",) if name in value}
    return ChatRequest(
        model=model_name(value["modelId"]),
        messages=_read_messages(value.get("messages", [])),
        system=tuple(_read_blocks(value.get("system", []), "system")),
        tools=tools,
        tool_choice=_read_choice(value.get("toolConfig", {}).get("toolChoice"), tools),
        sampling=sampling,
        output_schema=_read_output_schema(output["textFormat"]) if "textFormat" in output else None,
        reasoning=read_effort(output["effort"], reasoning) if "effort" in output else reasoning,
        extra=kept or None,
    )


def _read_messages(messages: list[Json]) -> tuple[Message, ...]:
    if not messages:
        raise InvalidRequest("a conversation needs at least one message", "messages")
    if next((message["role"] for message in messages if message["role"] != "system"), "") != "user":
        raise InvalidRequest("a conversation must start with a user message", "messages")
    return tuple(
        Message(role=message["role"], parts=tuple(_read_blocks(message["content"], f"messages[{place}].content")))
        for place, message in enumerate(messages)
    )


def _read_blocks(blocks: list[Json], field: str) -> list[Part]:
    if not blocks and field != "system":
        raise InvalidRequest("a message needs content", field)
    return [read_block(block, f"{field}[{place}]") for place, block in enumerate(blocks)]


def _read_tools(config: Json) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for place, item in enumerate(config.get("tools", [])):
        field = f"toolConfig.tools[{place}]"
        if "systemTool" in item:
            raise Unsupported(f"The system tool {item['systemTool']['name']!r}", "Give a toolSpec of your own.")
        if "cachePoint" in item:
            # A cache point says that the tools up to here are worth caching: it belongs to the one before it.
            if tools:
                tools[-1] = msgspec.structs.replace(tools[-1], extra=item)
            continue
        spec = item["toolSpec"]
        schema = spec["inputSchema"]["json"]
        if not isinstance(schema, dict):
            raise InvalidRequest("the schema must be a JSON object", f"{field}.toolSpec.inputSchema.json")
        if any(spec["name"] == tool.name for tool in tools):
            raise InvalidRequest(f"the tool name {spec['name']!r} is given twice", field)
        tools.append(
            Tool(spec["name"], schema, description=spec.get("description", ""), strict=spec.get("strict", False))
        )
    return tuple(tools)


def _read_choice(choice: Json | None, tools: tuple[Tool, ...]) -> ToolChoice:
    if choice is None or "auto" in choice:
        return ToolChoice()
    if "any" in choice:
        return ToolChoice(mode="any")
    name = choice["tool"]["name"]
    if all(tool.name != name for tool in tools):
        raise InvalidRequest(f"there is no tool {name!r} in tools", "toolConfig.toolChoice.tool.name")
    return ToolChoice(mode="tool", name=name)


def _read_output_schema(text_format: Json) -> OutputSchema:
    definition: Any = text_format["structure"]["jsonSchema"]
    try:
        schema = json.loads(definition["schema"])
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise InvalidRequest(
            "the schema must be the text of a JSON object", "outputConfig.textFormat.structure.jsonSchema.schema"
        )
    return OutputSchema(schema, name=definition.get("name") or "answer")
