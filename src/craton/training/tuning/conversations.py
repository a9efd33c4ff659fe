"""What a record says, whichever form it has: messages with roles, a text, a prompt.

Forms: {"prompt", "completion"}; {"messages": [{"role", "content"}]} as OpenAI's fine-tuning has them; Bedrock's
{"schemaVersion": "bedrock-conversation-2024", "system": [{"text"}], "messages": [{"role", "content": [{"text"}]}]}
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-customization-prepare.html).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest

ROLES = ("system", "user", "assistant")
SCHEMA = "bedrock-conversation-2024"

Messages = list[dict[str, str]]
"""{"role", "content"}: as chat templates take them."""


class Conversation(Struct, frozen=True):
    """messages: end with the assistant's. plain: it was a prompt and its completion, which a base without a chat
    template takes as they are."""

    messages: Messages
    plain: bool = False


def read_conversation(record: Json) -> Conversation:
    """Raises InvalidRequest."""
    if "messages" in record:
        messages = read_messages(record)
        if messages[-1]["role"] != "assistant":
            raise InvalidRequest("the last message is not the assistant's, so there is nothing to learn")
        return Conversation(messages)
    if "prompt" in record and "completion" in record:
        prompt, answer = record["prompt"], record["completion"]
        if isinstance(prompt, list) or isinstance(answer, list):
            said = [*_many(prompt, "user", "prompt"), *_many(answer, "assistant", "completion")]
            return read_conversation({"messages": said})
        asked, answered = _text(prompt, "prompt"), _text(answer, "completion")
        if not answered:
            raise InvalidRequest("its completion is empty")
        return Conversation(
            [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}], plain=True
        )
    raise InvalidRequest('it has neither "messages" nor "prompt" and "completion"')


def read_prompt(record: Json) -> Messages:
    """What a model is asked: {"prompt"} (text or messages), or {"messages"} up to the last that is not the
    assistant's. Raises InvalidRequest."""
    if "messages" in record:
        messages = read_messages(record)
    elif "prompt" in record:
        messages = read_messages({"messages": _many(record["prompt"], "user", "prompt")})
    else:
        raise InvalidRequest('it has neither "prompt" nor "messages"')
    while messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    if not messages or messages[-1]["role"] != "user":
        raise InvalidRequest("nobody asks anything in it")
    return messages


def read_plain(record: Json) -> str:
    """{"text"} or {"input"}. Raises InvalidRequest."""
    for name in ("text", "input"):
        if name in record:
            found = _text(record[name], name)
            if not found.strip():
                raise InvalidRequest(f"its {name} is empty")
            return found
    raise InvalidRequest('it has neither "text" nor "input"')


def read_messages(record: Json) -> Messages:
    """At least one, each with a role and a text; a system text of Bedrock's becomes the first. Raises
    InvalidRequest."""
    schema = record.get("schemaVersion")
    if schema not in (None, SCHEMA):
        raise InvalidRequest(f"its schemaVersion is not {SCHEMA!r}")
    given = record["messages"]
    if not isinstance(given, list) or not given:
        raise InvalidRequest("its messages are no list, or an empty one")
    system = record.get("system")
    found: Messages = [] if system is None else [{"role": "system", "content": _text(system, "system")}]
    for number, message in enumerate(given):
        place = f"messages[{number}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{place} is not an object")
        role = message.get("role")
        if role not in ROLES:
            raise InvalidRequest(f"{place}.role is none of {', '.join(ROLES)}")
        if role == "system" and found:
            raise InvalidRequest(f"{place}: only the first message may be the system's")
        text = _text(message.get("content"), f"{place}.content")
        if role == "assistant" and not text:
            raise InvalidRequest(f"{place}.content is empty")
        found.append({"role": role, "content": text})
    return found


def _many(value: Any, role: str, name: str) -> list[Any]:
    return value if isinstance(value, list) else [{"role": role, "content": _text(value, name)}]


def _text(value: Any, name: str) -> str:
    """A string, or a list of parts that are text ({"text"}); others (pictures, tools) are refused, never dropped."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in value]
        kinds = [set(part) - {"text", "type"} for part in value if isinstance(part, dict)]
        if not parts or any(not isinstance(part, str) for part in parts) or any(kinds):
            raise InvalidRequest(f"{name} holds something else than text, which is not learned from")
        value = "\n".join(map(str, parts))
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} is not valid Unicode") from None
    return value
