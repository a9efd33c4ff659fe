"""The routes of Anthropic's API, under /v1 and under /anthropic/v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from craton.core.access import Action
from craton.core.errors import Unsupported
from craton.core.events import fold_stream
from craton.serve.inference import Call, Serving
from craton.wire import sse
from craton.wire.anthropic.errors import write_error
from craton.wire.anthropic.members import REFUSED
from craton.wire.anthropic.models import write_model, write_page
from craton.wire.anthropic.read_message import read_count, read_message
from craton.wire.anthropic.refused import METHODS, RESOURCES
from craton.wire.anthropic.write_message import EventWriter, Head, write_answer
from craton.wire.http import Handler, Reply, Request, Route, encode_json
from craton.wire.ran import RAN, ran


def _is_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers


class AnthropicDialect:
    """Nothing that Anthropic's API writes needs a clock: models carry their own dates."""

    name = "anthropic"

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def routes(self) -> list[Route]:
        """Under /v1, a path that OpenAI's API has too is Anthropic's when `anthropic-version` is sent."""
        return [*self._mounted("/v1", _is_anthropic), *self._mounted("/anthropic/v1", None)]

    def _mounted(self, prefix: str, when: Callable[[Request], bool] | None) -> Iterator[Route]:
        def invoke(path: str, operation: str, handler: Handler) -> Route:
            pattern, note = f"{prefix}/{path}", f"Refuses the members {', '.join(REFUSED)}."
            return Route("POST", pattern, self.name, operation, handler, write_error, Action.INVOKE, note=note)

        def shared(method: str, path: str, operation: str, handler: Handler, status: str = "real") -> Route:
            pattern = f"{prefix}/{path}"
            return Route(method, pattern, self.name, operation, handler, write_error, Action.READ, when, status)

        yield invoke("messages", "CreateMessage", self._message)
        yield invoke("messages/count_tokens", "CountMessageTokens", self._count)
        yield shared("GET", "models", "ListModels", self._list_models)
        yield shared("GET", "models/{model}", "GetModel", self._get_model)
        yield shared("GET", "models/{namespace}/{model}", "GetModel", self._get_model)
        for resource, hint in RESOURCES.items():
            for method in METHODS:
                for path in (resource, f"{resource}/{{rest+}}"):
                    operation = f"{method} {path}"
                    yield shared(method, path, operation, _refuse(operation, hint), "refused")

    async def _message(self, request: Request) -> Reply:
        asked = read_message(request.body)
        call = Call(request.authenticated, request.request_id, self.name, "CreateMessage")
        head = Head(f"msg_{request.request_id}", asked.request.model, request.request_id)
        named = {RAN: await ran(self._serving, call.caller, asked.request.model)}
        events = self._serving.chat(call, asked.request)
        if asked.stream:
            headers = {**sse.HEADERS, "request-id": request.request_id, **named}
            return Reply(200, sse.relay(events, EventWriter(head)), headers)
        return _json(write_answer(await fold_stream(events), head), request, named)

    async def _count(self, request: Request) -> Reply:
        call = Call(request.authenticated, request.request_id, self.name, "CountMessageTokens")
        asked = read_count(request.body)
        named = {RAN: await ran(self._serving, call.caller, asked.model)}
        tokens = await self._serving.count_tokens(call, asked)
        return _json(encode_json({"input_tokens": tokens}), request, named)

    async def _list_models(self, request: Request) -> Reply:
        infos = await self._serving.models(request.authenticated)
        return _json(encode_json(write_page(infos, request.query_params())), request)

    async def _get_model(self, request: Request) -> Reply:
        name = "/".join(request.params.values())
        return _json(encode_json(write_model(await self._serving.model(request.authenticated, name))), request)


def _json(body: bytes, request: Request, more: Mapping[str, str] | None = None) -> Reply:
    headers = {"content-type": "application/json", "request-id": request.request_id}
    return Reply(200, body, {**headers, **(more or {})})


def _refuse(operation: str, hint: str) -> Callable[[Request], Awaitable[Reply]]:
    async def handler(request: Request) -> Reply:
        raise Unsupported(f"Anthropic's {operation}", hint)

    return handler
