"""Trying a chat template on a few conversations."""

from __future__ import annotations

from typing import Any

from craton.core.errors import InvalidRequest
from craton.engines.templates import render

_USER = {"role": "user", "content": "Hello"}
_SYSTEM = {"role": "system", "content": "Be brief."}
_ASSISTANT = {"role": "assistant", "content": "Hi."}
_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}
_CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": {"word": "x"}}}],
}
_RESULT = {"role": "tool", "tool_call_id": "call_1", "name": "look_up", "content": "a letter"}

_PROBES: tuple[tuple[list[dict[str, Any]], list[dict[str, Any]] | None], ...] = (
    ([_USER], None),
    ([_SYSTEM, _USER], None),
    ([_USER, _ASSISTANT, _USER], None),
    ([_USER], [_TOOL]),
    ([_USER, _CALL, _RESULT], [_TOOL]),
    ([_USER, _ASSISTANT] * 20 + [_USER], None),
)


def try_template(template: str) -> str:
    """What is wrong, "" when the plainest conversation renders. A template may refuse the others (no system prompt, no
    tools), but none may go on for ever: the process's limits end that."""
    reasons = []
    for messages, tools in _PROBES:
        try:
            render(template, messages, tools=tools, bos_token="<s>", eos_token="</s>")
            reasons.append("")
        except InvalidRequest as error:
            reasons.append(error.reason)
    return reasons[0]
