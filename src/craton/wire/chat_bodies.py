"""Bodies of other dialects inside InvokeModel: Claude's are Anthropic's Messages, most others' OpenAI's chat
completions.

They are handed to those dialects' own routes, so that they are read, refused and answered as there.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html and
model-parameters-openai.html
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from craton.core.errors import InvalidRequest
from craton.serve.inference import Call
from craton.wire.http import Dialect, Handler, Request

_VERSION = "anthropic_version"
_HINT = (
    "Send messages with anthropic_version, as to Claude, or without it, as OpenAI's API has them; or use Converse, "
    "which is the same for all models."
)
_members = msgspec.json.Decoder(dict[str, Raw])


class ChatBodies:
    """messages and completions: the routes that answer one body each."""

    def __init__(self, messages: Handler, completions: Handler) -> None:
        self._messages, self._completions = messages, completions

    async def answer(self, call: Call, model: str, body: bytes) -> bytes:
        """The body that the route would answer. Raises InvalidRequest for one of another family."""
        try:
            members = _members.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidRequest(f"it is no JSON object. {_HINT}", "body") from None
        if "messages" not in members:
            raise InvalidRequest(f"models that chat do not know it. {_HINT}", "body")
        claude = members.pop(_VERSION, None) is not None
        streaming = members.pop("stream", None)
        if streaming is not None and bytes(streaming).strip() != b"false":
            raise InvalidRequest("InvokeModel does not stream", "body.stream")
        members["model"] = Raw(msgspec.json.encode(model))
        request = Request("POST", "", "", {}, msgspec.json.encode(members), call.request_id, {}, call.caller)
        reply = await (self._messages if claude else self._completions)(request)
        assert isinstance(reply.body, bytes)
        return reply.body


def route_handler(dialect: Dialect, operation: str) -> Handler:
    """What answers this operation in a dialect."""
    return next(route.handler for route in dialect.routes() if route.operation == operation)
