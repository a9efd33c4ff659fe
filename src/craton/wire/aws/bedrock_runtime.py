"""The service bedrock-runtime: running models."""

from __future__ import annotations

from collections.abc import Callable

from craton.core.chat import Json
from craton.serve.inference import Predicting
from craton.wire.aws.answering import (
    Bodies,
    answer_options,
    converse,
    invoke_model,
    read_chat,
    read_counted,
    stream_model,
)
from craton.wire.aws.answers import StreamWriter
from craton.wire.aws.chunks import ChunkWriter
from craton.wire.aws.handling import call_of
from craton.wire.aws.service import Operation
from craton.wire.aws.streaming import frames
from craton.wire.http import Reply, Request
from craton.wire.ran import RAN


class BedrockRuntime:
    """Handlers by operation name. monotonic: seconds, for metrics. bodies: for InvokeModel."""

    def __init__(self, serving: Predicting, monotonic: Callable[[], float], bodies: Bodies | None = None) -> None:
        self._serving, self._bodies = serving, bodies
        self._monotonic = monotonic
        self.handlers = {
            "Converse": self.converse,
            "ConverseStream": self.converse_stream,
            "CountTokens": self.count_tokens,
            "InvokeModel": self.invoke_model,
            "InvokeModelWithResponseStream": self.stream_model,
        }

    async def converse(self, operation: Operation, request: Request, value: Json) -> Reply:
        said = await converse(self._serving, call_of(operation, request), value, self._monotonic)
        return _name_model(operation.write(said.output), said.model)

    async def converse_stream(self, operation: Operation, request: Request, value: Json) -> Reply:
        started = self._monotonic()
        call = call_of(operation, request)
        chat, model = await read_chat(self._serving, call, value)
        writer = StreamWriter(answer_options(value, chat, model))
        streamed = frames(operation, request.request_id, self._serving.chat(call, chat), writer, self._since(started))
        return _name_model(operation.write_stream({}, streamed), model)

    async def count_tokens(self, operation: Operation, request: Request, value: Json) -> Reply:
        call, asked = call_of(operation, request), {**value["input"], "modelId": value["modelId"]}
        if "invokeModel" in asked:
            chat, model = await read_counted(self._serving, call, asked, self._bodies)
        else:
            chat, model = await read_chat(self._serving, call, {**asked["converse"], "modelId": asked["modelId"]})
        tokens = await self._serving.count_tokens(call, chat)
        return _name_model(operation.write({"inputTokens": tokens}), model)

    async def invoke_model(self, operation: Operation, request: Request, value: Json) -> Reply:
        said = await invoke_model(self._serving, call_of(operation, request), value, self._bodies)
        return _name_model(operation.write(said.output), said.model)

    async def stream_model(self, operation: Operation, request: Request, value: Json) -> Reply:
        started = self._monotonic()
        call = call_of(operation, request)
        said = await stream_model(self._serving, call, value, self._bodies)
        writer = ChunkWriter(said.pieces)
        streamed = frames(operation, request.request_id, said.events, writer, self._since(started))
        return _name_model(operation.write_stream({"contentType": "application/json"}, streamed), said.model)

    def _since(self, started: float) -> Callable[[], float]:
        return lambda: self._monotonic() - started


def _name_model(reply: Reply, model: str) -> Reply:
    reply.headers[RAN] = model
    return reply
