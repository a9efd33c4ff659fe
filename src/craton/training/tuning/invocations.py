"""Records of invocations, as Bedrock's model invocation logging writes them: a question that was answered.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html: {"schemaType": "ModelInvocationLog",
"operation": "Converse", "input": {"inputBodyJson"}, "output": {"outputBodyJson"}}.
"""

from __future__ import annotations

from typing import Any

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.training.tuning.conversations import Messages, read_messages

SCHEMA = "ModelInvocationLog"


def is_invocation(record: Json) -> bool:
    return record.get("schemaType") == SCHEMA


def read_invocation(record: Json) -> Messages:
    """The conversation with its answer. Raises InvalidRequest for what is not of Converse, whose answer is no text or
    was cut off."""
    operation = record.get("operation")
    if operation not in ("Converse", "ConverseStream"):
        raise InvalidRequest(f"it logs {str(operation)[:40]}; conversations (Converse) are learned from")
    asked, output = _body(record, "input"), _body(record, "output")
    if output.get("stopReason") == "max_tokens":
        raise InvalidRequest("its answer was cut off at max_tokens")
    message = output.get("output", {}).get("message") if isinstance(output.get("output"), dict) else None
    if not isinstance(message, dict) or not isinstance(asked.get("messages"), list):
        raise InvalidRequest("it has no messages and answer")
    said: Json = {"messages": [*asked["messages"], message]}
    if asked.get("system"):
        said["system"] = asked["system"]
    return read_messages(said)


def _body(record: Json, side: str) -> Any:
    part = record.get(side)
    body = part.get(f"{side}BodyJson") if isinstance(part, dict) else None
    if not isinstance(body, dict):
        raise InvalidRequest(f"it holds no {side}.{side}BodyJson")
    return body
