"""Bodies of other dialects inside InvokeModel: Claude's are Anthropic's Messages, most others' OpenAI's chat
completions, or a prompt as OpenAI's completions have it.

Whole answers are those dialects' own routes', so that bodies are read, refused and answered as there; for streams and
counts their readers and writers are used.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html and
model-parameters-openai.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Raw

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest
from craton.core.events import Event
from craton.serve.inference import Call
from craton.wire.http import Dialect, Handler, Request
from craton.wire.sse import StreamWriter

_VERSION = "anthropic_version"
_HINT = (
    "Send messages with anthropic_version, as to Claude, or without it, as OpenAI's API has them; or use Converse, "
    "which is the same for all models."
)
_SKIPPED = (b"[DONE]", b'{"type":"ping"}')
_members = msgspec.json.Decoder(dict[str, Raw])


class Family(NamedTuple):
    """answer: the route of a whole answer. open: reads a body that asks for a stream, and makes what writes it, for
    the id of the request. counted: reads a body whose tokens are to be counted."""

    answer: Handler
    open: Callable[[str, bytes], tuple[ChatRequest, StreamWriter]]
    counted: Callable[[bytes], ChatRequest]


class ChatBodies:
    """claude, openai, texts: the families that there are; texts are gone on with as they stand."""

    def __init__(self, claude: Family, openai: Family, texts: Family) -> None:
        self._claude, self._openai, self._texts = claude, openai, texts

    async def answer(self, call: Call, model: str, body: bytes) -> bytes:
        """The body that the route would answer. Raises InvalidRequest for one of another family."""
        family, members = self._read(model, body)
        streaming = members.pop("stream", None)
        if streaming is not None and bytes(streaming).strip() != b"false":
            raise InvalidRequest("InvokeModel does not stream; InvokeModelWithResponseStream does", "body.stream")
        request = Request("POST", "", "", {}, msgspec.json.encode(members), call.request_id, {}, call.caller)
        reply = await family.answer(request)
        assert isinstance(reply.body, bytes)
        return reply.body

    def stream(self, call: Call, model: str, body: bytes) -> tuple[ChatRequest, Callable[[Event], list[bytes]]]:
        """What is asked, and what writes the events of its answer, as JSON objects. Raises as `answer` does."""
        family, members = self._read(model, body)
        asked, writer = family.open(call.request_id, msgspec.json.encode(members | {"stream": Raw(b"true")}))
        return asked, lambda event: objects(writer.write(event))

    def counted(self, model: str, body: bytes) -> ChatRequest:
        """What is asked, to be counted. Raises as `answer` does."""
        family, members = self._read(model, body)
        members.pop("stream", None)
        return family.counted(msgspec.json.encode(members))

    def _read(self, model: str, body: bytes) -> tuple[Family, dict[str, Raw]]:
        try:
            members = _members.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidRequest(f"it is no JSON object. {_HINT}", "body") from None
        claude = members.pop(_VERSION, None) is not None
        if "messages" not in members and (claude or "prompt" not in members):
            raise InvalidRequest(f"models that chat do not know it. {_HINT}", "body")
        family = self._claude if claude else self._openai if "messages" in members else self._texts
        members["model"] = Raw(msgspec.json.encode(model))
        return family, members


def objects(events: bytes) -> list[bytes]:
    """The data of server-sent events, one line of JSON each, but for what only says that the stream lives or ends."""
    found = [line.removeprefix(b"data: ") for line in events.split(b"\n") if line.startswith(b"data: ")]
    return [data for data in found if data not in _SKIPPED]


def route_handler(dialect: Dialect, operation: str) -> Handler:
    """What answers this operation in a dialect."""
    return next(route.handler for route in dialect.routes() if route.operation == operation)
