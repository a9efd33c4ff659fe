"""The service bedrock-runtime: running models."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

from craton.core.chat import Json
from craton.core.errors import CratonError, Internal, Unsupported
from craton.core.events import Event
from craton.core.streams import closing
from craton.serve.inference import Predicting
from craton.wire.aws.answering import Bodies, answer_options, converse, invoke_model, read_chat
from craton.wire.aws.answers import StreamWriter
from craton.wire.aws.errors import stream_exception
from craton.wire.aws.handling import call_of
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request
from craton.wire.ran import RAN

log = logging.getLogger("craton.wire.aws")


class BedrockRuntime:
    """Handlers by operation name. monotonic: seconds, for metrics.latencyMs. bodies: for InvokeModel."""

    def __init__(self, serving: Predicting, monotonic: Callable[[], float], bodies: Bodies | None = None) -> None:
        self._serving, self._bodies = serving, bodies
        self._monotonic = monotonic
        self.handlers = {
            "Converse": self.converse,
            "ConverseStream": self.converse_stream,
            "CountTokens": self.count_tokens,
            "InvokeModel": self.invoke_model,
        }

    async def converse(self, operation: Operation, request: Request, value: Json) -> Reply:
        said = await converse(self._serving, call_of(operation, request), value, self._monotonic)
        return _name_model(operation.write(said.output), said.model)

    async def converse_stream(self, operation: Operation, request: Request, value: Json) -> Reply:
        started = self._monotonic()
        call = call_of(operation, request)
        chat, model = await read_chat(self._serving, call, value)
        events = self._serving.chat(call, chat)
        writer = StreamWriter(answer_options(value, chat, model))
        frames = self._frames(operation, request, events, writer, started)
        return _name_model(operation.write_stream({}, frames), model)

    async def count_tokens(self, operation: Operation, request: Request, value: Json) -> Reply:
        if "invokeModel" in value["input"]:
            raise Unsupported("CountTokens with input.invokeModel", "Use input.converse.")
        call = call_of(operation, request)
        chat, model = await read_chat(self._serving, call, {**value["input"]["converse"], "modelId": value["modelId"]})
        tokens = await self._serving.count_tokens(call, chat)
        return _name_model(operation.write({"inputTokens": tokens}), model)

    async def invoke_model(self, operation: Operation, request: Request, value: Json) -> Reply:
        said = await invoke_model(self._serving, call_of(operation, request), value, self._bodies)
        return _name_model(operation.write(said.output), said.model)

    async def _frames(
        self,
        operation: Operation,
        request: Request,
        events: AsyncIterator[Event],
        writer: StreamWriter,
        started: float,
    ) -> AsyncIterator[bytes]:
        """What goes wrong before the first event raises, and gets a status; after it, it becomes an exception frame."""
        begun = False
        async with closing(events):
            try:
                async for event in events:
                    written = writer.write(event, self._since(started))
                    frames = b"".join([operation.event(name, members) for name, members in written])
                    if not begun:
                        begun, frames = True, operation.event(*writer.start()) + frames
                    if frames:
                        yield frames
            except CratonError as error:
                if not begun:
                    raise
                yield operation.exception(*stream_exception(error, operation))
            except Exception:
                if not begun:
                    raise
                log.exception("request %s broke off in mid-stream", request.request_id)
                yield operation.exception(*stream_exception(Internal(request.request_id), operation))

    def _since(self, started: float) -> int:
        return round((self._monotonic() - started) * 1000)


def _name_model(reply: Reply, model: str) -> Reply:
    reply.headers[RAN] = model
    return reply
