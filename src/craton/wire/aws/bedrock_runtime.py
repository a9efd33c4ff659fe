"""The service bedrock-runtime: running models."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

from craton.core.chat import ChatRequest, Json
from craton.core.errors import CratonError, Internal, ModelFailed, Unsupported
from craton.core.events import Event, fold_stream
from craton.core.streams import closing
from craton.serve.inference import Call, Predicting
from craton.wire.aws.answers import AnswerOptions, StreamWriter, write_converse
from craton.wire.aws.converse import read_converse
from craton.wire.aws.errors import stream_exception
from craton.wire.aws.handling import refuse_members
from craton.wire.aws.invoking import invoke
from craton.wire.aws.names import model_name
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request
from craton.wire.ran import RAN, ran

_INVOKE_HINT = "It runs trained models (rows in JSON or CSV); use Converse for models that chat."

log = logging.getLogger("craton.wire.aws")


class BedrockRuntime:
    """Handlers by operation name. monotonic: seconds, for metrics.latencyMs."""

    def __init__(self, serving: Predicting, monotonic: Callable[[], float]) -> None:
        self._serving = serving
        self._monotonic = monotonic
        self.handlers = {
            "Converse": self.converse,
            "ConverseStream": self.converse_stream,
            "CountTokens": self.count_tokens,
            "InvokeModel": self.invoke_model,
        }

    async def converse(self, operation: Operation, request: Request, value: Json) -> Reply:
        started = self._monotonic()
        chat, model = await self._read(request, value)
        async with closing(self._serving.chat(_call(operation, request), chat)) as events:
            try:
                answer = await fold_stream(events)
            except CratonError:
                raise
            except ValueError as error:
                raise ModelFailed(model, "it wrote tool arguments that are not JSON, or broke off") from error
        output = write_converse(answer, _options(value, chat, model), self._since(started))
        return _name_model(operation.write(output), model)

    async def converse_stream(self, operation: Operation, request: Request, value: Json) -> Reply:
        started = self._monotonic()
        chat, model = await self._read(request, value)
        events = self._serving.chat(_call(operation, request), chat)
        writer = StreamWriter(_options(value, chat, model))
        frames = self._frames(operation, request, events, writer, started)
        return _name_model(operation.write_stream({}, frames), model)

    async def count_tokens(self, operation: Operation, request: Request, value: Json) -> Reply:
        if "invokeModel" in value["input"]:
            raise Unsupported("CountTokens with input.invokeModel", "Use input.converse.")
        chat, model = await self._read(request, {**value["input"]["converse"], "modelId": value["modelId"]})
        tokens = await self._serving.count_tokens(_call(operation, request), chat)
        return _name_model(operation.write({"inputTokens": tokens}), model)

    async def invoke_model(self, operation: Operation, request: Request, value: Json) -> Reply:
        """Trained models alone: what is chatted with has Converse."""
        refuse_members(value, ("guardrailIdentifier", "trace"), "")
        name = model_name(value["modelId"])
        info = await self._serving.model(request.authenticated, name)
        if info.engine != "predictor":
            raise Unsupported(f"InvokeModel with the model {info.id!r}", _INVOKE_HINT)
        invoked = await invoke(
            self._serving,
            _call(operation, request),
            name,
            value.get("body", b""),
            value.get("contentType", ""),
            value.get("accept", ""),
            None,
        )
        reply = operation.write({"body": invoked.body, "contentType": invoked.content_type})
        return _name_model(reply, invoked.model)

    async def _read(self, request: Request, value: Json) -> tuple[ChatRequest, str]:
        """The request, and the id of the model that its name means."""
        chat = read_converse(value)
        return chat, await ran(self._serving, request.authenticated, chat.model)

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


def _call(operation: Operation, request: Request) -> Call:
    return Call(request.authenticated, request.request_id, "aws", operation.name)


def _options(value: Json, chat: ChatRequest, model: str) -> AnswerOptions:
    return AnswerOptions.of(value, ran="" if model == chat.model else model)


def _name_model(reply: Reply, model: str) -> Reply:
    reply.headers[RAN] = model
    return reply
