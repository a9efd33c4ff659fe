"""Converse and InvokeModel from their parsed input to their output, for whoever asks: a client that waits, or a batch.

The live routes and the jobs give these same values to `Operation.write`, so that they say the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from craton.core.chat import ChatRequest, Json
from craton.core.errors import CratonError, ModelFailed, Unsupported
from craton.core.events import Usage, fold_stream
from craton.core.streams import closing
from craton.serve.inference import Call, Predicting
from craton.wire.aws.answers import AnswerOptions, write_converse
from craton.wire.aws.converse import read_converse
from craton.wire.aws.handling import refuse_members
from craton.wire.aws.invoking import invoke
from craton.wire.aws.names import model_name
from craton.wire.ran import ran

INVOKE_HINT = "It runs trained models (rows in JSON or CSV); use Converse for models that chat."


class Said(NamedTuple):
    """output: the operation's. model: the one that ran. usage: None where no tokens are counted."""

    output: Json
    model: str
    usage: Usage | None = None


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
    return Said(write_converse(answer, answer_options(value, chat, model), milliseconds), model, answer.usage)


async def invoke_model(serving: Predicting, call: Call, value: Json) -> Said:
    """Trained models alone: what is chatted with has Converse."""
    refuse_members(value, ("guardrailIdentifier", "trace"), "")
    name = model_name(value["modelId"])
    info = await serving.model(call.caller, name)
    if info.engine != "predictor":
        raise Unsupported(f"InvokeModel with the model {info.id!r}", INVOKE_HINT)
    body, content_type, accept = value.get("body", b""), value.get("contentType", ""), value.get("accept", "")
    invoked = await invoke(serving, call, name, body, content_type, accept, None)
    return Said({"body": invoked.body, "contentType": invoked.content_type}, invoked.model)
