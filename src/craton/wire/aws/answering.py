"""Converse and InvokeModel from their parsed input to their output, for whoever asks: a client that waits, or a batch.

The live routes and the jobs give these same values to `Operation.write`, so that they say the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from craton.core.chat import ChatRequest, Json
from craton.core.errors import CratonError, InvalidRequest, ModelFailed, Unsupported
from craton.core.events import fold_stream
from craton.core.model import ModelInfo
from craton.core.streams import closing
from craton.serve.inference import Call, Predicting
from craton.wire.aws.answers import AnswerOptions, write_converse
from craton.wire.aws.converse import read_converse
from craton.wire.aws.embedding_bodies import embed_body, embeds
from craton.wire.aws.handling import refuse_members
from craton.wire.aws.invoking import invoke
from craton.wire.aws.names import model_name
from craton.wire.http import decode_json
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
    if bodies is None or "chat" not in info.verbs or ("embed" in info.verbs and embeds(given)):
        answered = await embed_body(serving, call, name, given)
    else:
        answered = await bodies.answer(call, name, body)
    return Said({"body": answered, "contentType": "application/json"}, info.id)


def refuse_invoke(info: ModelInfo, *, chats: bool = True) -> None:
    """Raises Unsupported for a model that no body of InvokeModel is for."""
    if info.engine != "predictor" and "embed" not in info.verbs and not (chats and "chat" in info.verbs):
        raise Unsupported(f"InvokeModel with the model {info.id!r}", INVOKE_HINT)


def _object(body: bytes) -> Json:
    value = decode_json(body)
    if not isinstance(value, dict):
        raise InvalidRequest("it is no JSON object", "body")
    return value
