"""Converse and InvokeModel from their parsed input to their output, for whoever asks: a client that waits, or a batch.

The live routes and the jobs give these same values to `Operation.write`, so that they say the same byte for byte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, Protocol

from craton.core.chat import ChatRequest, Json
from craton.core.errors import CratonError, InvalidRequest, ModelFailed, Unsupported
from craton.core.events import Event, fold_stream
from craton.core.model import ModelInfo
from craton.core.streams import closing
from craton.serve.inference import Call, Predicting
from craton.wire.aws.answers import AnswerOptions, write_converse
from craton.wire.aws.converse import read_converse
from craton.wire.aws.embedding_bodies import embed_body, embeds
from craton.wire.aws.families.choosing import family_of
from craton.wire.aws.handling import refuse_members
from craton.wire.aws.invoking import invoke
from craton.wire.aws.names import model_name
from craton.wire.http import decode_json, encode_json
from craton.wire.ran import ran

INVOKE_HINT = "It runs trained models (rows in JSON or CSV), embedders, and models that chat."


class Said(NamedTuple):
    """output: the operation's. model: the one that ran."""

    output: Json
    model: str


async def read_chat(serving: Predicting, call: Call, value: Json) -> tuple[ChatRequest, str]:
    """The request, and the id of the model that its name means."""
    chat = read_converse(value)
    return chat, await ran(serving, call.caller, chat.model)


def answer_options(value: Json, chat: ChatRequest, model: str) -> AnswerOptions:
    return AnswerOptions.of(value, ran="" if model == chat.model else model)


async def converse(serving: Predicting, call: Call, value: Json, monotonic: Callable[[], float]) -> Said:
    """monotonic: seconds, for metrics.latencyMs."""
    started = monotonic()
    chat, model = await read_chat(serving, call, value)
    async with closing(serving.chat(call, chat)) as events:
        try:
            answer = await fold_stream(events)
        except CratonError:
            raise
        except ValueError as error:
            raise ModelFailed(model, "it wrote tool arguments that are not JSON, or broke off") from error
    milliseconds = round((monotonic() - started) * 1000)
    return Said(write_converse(answer, answer_options(value, chat, model), milliseconds), model)


class Bodies(Protocol):
    """Bodies of InvokeModel that are in another dialect's words."""

    async def answer(self, call: Call, model: str, body: bytes) -> bytes:
        """Raises InvalidRequest for one that it does not know."""
        ...

    def stream(self, call: Call, model: str, body: bytes) -> tuple[ChatRequest, Callable[[Event], list[bytes]]]:
        """What is asked, and what writes the events of its answer as JSON objects. Raises InvalidRequest."""
        ...

    def counted(self, model: str, body: bytes) -> ChatRequest:
        """What is asked, to be counted. Raises InvalidRequest."""
        ...


class Streamed(NamedTuple):
    """pieces: what an event is in the words of the body's family. model: the one that runs."""

    events: AsyncIterator[Event]
    pieces: Callable[[Event], list[bytes]]
    model: str


async def invoke_model(serving: Predicting, call: Call, value: Json, bodies: Bodies | None) -> Said:
    """bodies: for models that chat, where there are any."""
    refuse_members(value, ("guardrailIdentifier", "trace"), "")
    name = model_name(value["modelId"])
    info = await serving.model(call.caller, name)
    body = value.get("body", b"")
    if info.engine == "predictor":
        invoked = await invoke(serving, call, name, body, value.get("contentType", ""), value.get("accept", ""), None)
        return Said({"body": invoked.body, "contentType": invoked.content_type}, invoked.model)
    refuse_invoke(info, chats=bodies is not None)
    given = _object(body)
    if family := family_of(given, info):
        answer = await fold_stream(serving.chat(call, family.read(name, given)))
        answered = encode_json(family.whole(answer, given, call.request_id))
    elif bodies is None or "chat" not in info.verbs or ("embed" in info.verbs and embeds(given)):
        answered = await embed_body(serving, call, name, given)
    else:
        answered = await bodies.answer(call, name, body)
    return Said({"body": answered, "contentType": "application/json"}, info.id)


async def stream_model(serving: Predicting, call: Call, value: Json, bodies: Bodies | None) -> Streamed:
    """Raises Unsupported for a model or a body whose answer comes at once."""
    refuse_members(value, ("guardrailIdentifier", "trace"), "")
    name, body = model_name(value["modelId"]), value.get("body", b"")
    info = await serving.model(call.caller, name)
    given = _chatting(info, body, bodies, "InvokeModelWithResponseStream", "InvokeModel answers at once.")
    if family := family_of(given, info):
        pieces = family.stream(call.request_id, given)
        asked = family.read(name, given)
        return Streamed(serving.chat(call, asked), lambda event: [encode_json(one) for one in pieces(event)], info.id)
    assert bodies is not None
    request, write = bodies.stream(call, name, body)
    return Streamed(serving.chat(call, request), write, info.id)


async def read_counted(serving: Predicting, call: Call, value: Json, bodies: Bodies | None) -> tuple[ChatRequest, str]:
    """For CountTokens with a body of InvokeModel: the request, and the id of the model that its name means."""
    name, body = model_name(value["modelId"]), value["invokeModel"]["body"]
    info = await serving.model(call.caller, name)
    given = _chatting(info, body, bodies, "CountTokens", "It counts for models that chat.")
    if family := family_of(given, info):
        return family.read(name, given), info.id
    assert bodies is not None
    return bodies.counted(name, body), info.id


def _chatting(info: ModelInfo, body: bytes, bodies: Bodies | None, operation: str, hint: str) -> Json:
    """The body. Raises Unsupported where no model that chats is asked to."""
    given = _object(body) if info.engine != "predictor" else {}
    embedding = "embed" in info.verbs and embeds(given) and family_of(given, info) is None
    if bodies is None or "chat" not in info.verbs or embedding:
        raise Unsupported(f"{operation} with this body and the model {info.id!r}", hint)
    return given


def refuse_invoke(info: ModelInfo, *, chats: bool = True) -> None:
    """Raises Unsupported for a model that no body of InvokeModel is for."""
    if info.engine != "predictor" and "embed" not in info.verbs and not (chats and "chat" in info.verbs):
        raise Unsupported(f"InvokeModel with the model {info.id!r}", INVOKE_HINT)


def _object(body: bytes) -> Json:
    value = decode_json(body)
    if not isinstance(value, dict):
        raise InvalidRequest("it is no JSON object", "body")
    return value
