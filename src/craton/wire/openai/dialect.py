"""The routes of OpenAI's API, under /v1 and, as Bedrock serves it, under /openai/v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from msgspec.structs import replace

from craton.core.access import Action
from craton.core.errors import Unsupported
from craton.core.events import fold_stream
from craton.serve.inference import Call, Serving
from craton.wire import sse
from craton.wire.http import Handler, Reply, Request, Route, encode_json
from craton.wire.openai.completions import CompletionWriter, read_completion, write_completion
from craton.wire.openai.embeddings import read_embeddings, write_embeddings
from craton.wire.openai.errors import write_error
from craton.wire.openai.members import REFUSED
from craton.wire.openai.models import write_model, write_models
from craton.wire.openai.read_chat import read_chat
from craton.wire.openai.refused import METHODS, OPERATIONS, RESOURCES
from craton.wire.openai.write_chat import ChunkWriter, Head, write_answer
from craton.wire.ran import RAN, ran

NOTE = f"Refuses the members {', '.join(REFUSED)}."


def _not_anthropic(request: Request) -> bool:
    return "anthropic-version" not in request.headers


class OpenAIDialect:
    """clock: seconds since the epoch, for `created`."""

    name = "openai"

    def __init__(self, serving: Serving, clock: Callable[[], float]) -> None:
        self._serving = serving
        self._clock = clock

    def routes(self) -> list[Route]:
        """Anthropic's clients call /v1 too: requests with their header are left to that dialect."""
        return [*self._mounted("/v1", _not_anthropic), *self._mounted("/openai/v1", None), *self._of_one_model()]

    def _of_one_model(self) -> Iterator[Route]:
        """Below a model's own URL, as servers of one model have it: what the body calls the model does not count."""
        for model in ("{namespace}/{model}", "{model}"):
            pattern = f"/models/{model}/v1/chat/completions"
            yield Route(
                "POST", pattern, self.name, "CreateChatCompletion", self._chat, write_error, Action.INVOKE, note=NOTE
            )

    def _mounted(self, prefix: str, when: Callable[[Request], bool] | None) -> Iterator[Route]:
        def real(
            method: str, path: str, operation: str, handler: Handler, action: Action = Action.READ, note: str = ""
        ) -> Route:
            pattern = f"{prefix}/{path}"
            return Route(method, pattern, self.name, operation, handler, write_error, action, when, note=note)

        def refused(method: str, path: str, hint: str) -> Route:
            pattern, operation = f"{prefix}/{path}", f"{method} {path}"
            handler = _refuse(operation, hint)
            return Route(method, pattern, self.name, operation, handler, write_error, Action.READ, when, "refused")

        yield real("POST", "chat/completions", "CreateChatCompletion", self._chat, Action.INVOKE, NOTE)
        yield real("POST", "completions", "CreateCompletion", self._complete, Action.INVOKE)
        yield real("POST", "embeddings", "CreateEmbedding", self._embed, Action.INVOKE)
        yield real("GET", "models", "ListModels", self._list_models)
        yield real("GET", "models/{model}", "RetrieveModel", self._get_model)
        yield real("GET", "models/{namespace}/{model}", "RetrieveModel", self._get_model)
        for method, path in OPERATIONS:
            yield refused(method, path, "")
        for resource, hint in RESOURCES.items():
            for method in METHODS:
                yield refused(method, resource, hint)
                yield refused(method, f"{resource}/{{rest+}}", hint)

    async def _chat(self, request: Request) -> Reply:
        asked = read_chat(request.body)
        if request.params:
            asked = replace(asked, request=replace(asked.request, model="/".join(request.params.values())))
        call = Call(request.authenticated, request.request_id, self.name, "CreateChatCompletion")
        head = Head(f"chatcmpl-{request.request_id}", int(self._clock()), asked.request.model)
        named = {RAN: await ran(self._serving, call.caller, asked.request.model)}
        events = self._serving.chat(call, asked.request)
        if asked.stream:
            writer = ChunkWriter(head, asked.request.sampling.n, asked.include_usage)
            return Reply(200, sse.relay(events, writer), {**sse.HEADERS, "x-request-id": request.request_id, **named})
        return _json(write_answer(await fold_stream(events), head), request, named)

    async def _complete(self, request: Request) -> Reply:
        asked = read_completion(request.body)
        call = Call(request.authenticated, request.request_id, self.name, "CreateCompletion")
        head = Head(f"cmpl-{request.request_id}", int(self._clock()), asked.request.model)
        named = {RAN: await ran(self._serving, call.caller, asked.request.model)}
        events = self._serving.chat(call, asked.request)
        if asked.stream:
            writer = CompletionWriter(head, asked.include_usage)
            return Reply(200, sse.relay(events, writer), {**sse.HEADERS, "x-request-id": request.request_id, **named})
        return _json(write_completion(await fold_stream(events), head), request, named)

    async def _embed(self, request: Request) -> Reply:
        asked = read_embeddings(request.body)
        call = Call(request.authenticated, request.request_id, self.name, "CreateEmbedding")
        named = {RAN: await ran(self._serving, call.caller, asked.request.model)}
        answer = await self._serving.embed(call, asked.request)
        return _json(write_embeddings(answer, asked.request.model, asked.base64), request, named)

    async def _list_models(self, request: Request) -> Reply:
        return _json(encode_json(write_models(await self._serving.models(request.authenticated))), request)

    async def _get_model(self, request: Request) -> Reply:
        name = "/".join(request.params.values())
        return _json(encode_json(write_model(await self._serving.model(request.authenticated, name))), request)


def _json(body: bytes, request: Request, more: Mapping[str, str] | None = None) -> Reply:
    headers = {"content-type": "application/json", "x-request-id": request.request_id}
    return Reply(200, body, {**headers, **(more or {})})


def _refuse(operation: str, hint: str) -> Callable[[Request], Awaitable[Reply]]:
    async def handler(request: Request) -> Reply:
        raise Unsupported(f"OpenAI's {operation}", hint)

    return handler
