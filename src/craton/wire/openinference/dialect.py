"""The routes of the Open Inference Protocol. A model's versions are its revisions; `parameters.verb` says what to ask
it (predict_proba too when its output "probabilities" is asked for). Errors are {"error": "..."}."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from craton import __version__
from craton.core import errors
from craton.core.access import Action
from craton.core.chat import Json
from craton.core.errors import CratonError, InvalidRequest, Unsupported
from craton.core.predicting import PredictRequest, PredictVerb, Signature
from craton.serve.inference import Call, Predicting
from craton.wire.http import Handler, Reply, Request, Route, decode_json, encode_json, json_reply
from craton.wire.openinference.binary import BINARY_OUTPUT, EXTENSION, HEADER, SIZE, divided, head_length
from craton.wire.openinference.tensors import InferRequest, PackedTensor, columns_of, described, tensors_of
from craton.wire.ran import RAN
from craton.wire.rows.reading import usual_verb, verb_of

MAX_BODY = 64 * 1024 * 1024
NAMES = ("/v2/models/{name}", "/v2/models/{namespace}/{name}")

_STATUSES: dict[type[CratonError], int] = {
    errors.InvalidRequest: 400,
    errors.Unsupported: 400,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Gated: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Throttled: 429,
    errors.ModelUnavailable: 503,
    errors.DeadlineExceeded: 504,
    errors.StorageFull: 507,
}

Ask = Callable[[Request, str], Awaitable[Reply]]


class OpenInferenceDialect:
    """ready: whether requests can be answered now."""

    name = "openinference"

    def __init__(self, serving: Predicting, ready: Callable[[], bool]) -> None:
        self._serving, self._is_ready = serving, ready

    def routes(self) -> list[Route]:
        def route(method: str, pattern: str, operation: str, handler: Handler, action: Action) -> Route:
            return Route(method, pattern, self.name, operation, handler, write_error, action, max_body=MAX_BODY)

        def named(ask: Ask) -> Handler:
            async def answer(request: Request) -> Reply:
                return await ask(request, _name(request))

            return answer

        found = [
            route("GET", "/v2", "ServerMetadata", self._server, Action.READ),
            route("GET", "/v2/health/live", "ServerLive", self._live, Action.PUBLIC),
            route("GET", "/v2/health/ready", "ServerReady", self._ready, Action.PUBLIC),
        ]
        for model in (*NAMES, *(f"{name}/versions/{{version}}" for name in NAMES)):
            found.append(route("GET", model, "ModelMetadata", named(self._model), Action.READ))
            found.append(route("GET", f"{model}/ready", "ModelReady", named(self._model_ready), Action.READ))
            found.append(route("POST", f"{model}/infer", "ModelInfer", named(self._infer), Action.INVOKE))
        return found

    async def _server(self, _: Request) -> Reply:
        return json_reply(200, {"name": "craton", "version": __version__, "extensions": [EXTENSION]})

    async def _live(self, _: Request) -> Reply:
        return json_reply(200, {"live": True})

    async def _ready(self, _: Request) -> Reply:
        ready = self._is_ready()
        return json_reply(200 if ready else 503, {"ready": ready})

    async def _model(self, request: Request, name: str) -> Reply:
        info, signature = await self._serving.signature(request.authenticated, name)
        verb = usual_verb(signature)
        told = {
            "name": info.id,
            "versions": [info.revision],
            "platform": f"craton_{info.format}",
            "inputs": described(signature.inputs),
            "outputs": described(signature.outputs[verb]),
            "parameters": {"verbs": info.verbs, "verb": verb},
        }
        return json_reply(200, told, {RAN: info.id})

    async def _model_ready(self, request: Request, name: str) -> Reply:
        """A model is loaded when it is first asked; ready is what can be."""
        info, _ = await self._serving.signature(request.authenticated, name)
        return json_reply(200, {"name": info.id, "ready": True})

    async def _infer(self, request: Request, name: str) -> Reply:
        asked = _read(request)
        info, signature = await self._serving.signature(request.authenticated, name)
        verb = _verb(asked, signature)
        columns, names = columns_of(asked.inputs, signature)
        call = Call(request.authenticated, request.request_id, self.name, "ModelInfer")
        answer = await self._serving.predict(call, PredictRequest(name, verb, columns, names))
        binary = asked.parameters.get(BINARY_OUTPUT) is True
        outputs, tails = tensors_of(answer, signature.outputs[verb], asked.outputs, binary=binary)
        told: Json = {"model_name": info.id, "model_version": info.revision, "outputs": outputs}
        if asked.id:
            told["id"] = asked.id
        if not tails:
            return json_reply(200, told, {RAN: info.id})
        head = encode_json(told)
        headers = {"content-type": "application/octet-stream", HEADER: str(len(head)), RAN: info.id}
        return Reply(200, b"".join((head, *tails)), headers)


def write_error(error: CratonError, request: Request) -> Reply:
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    headers = {"x-request-id": request.request_id}
    if isinstance(error, errors.Throttled):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return json_reply(status, {"error": str(error)}, headers)


def _name(request: Request) -> str:
    params = request.params
    name = f"{params['namespace']}/{params['name']}" if "namespace" in params else params["name"]
    return f"{name}@{params['version']}" if "version" in params else name


def _read(request: Request) -> InferRequest:
    """Tensors whose bytes stand behind the JSON are given them."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Unsupported(f"A body in the encoding {encoding[:50]!r}", "Send it as it is.")
    length = head_length(request.headers.get(HEADER), len(request.body))
    head = request.body if length is None else request.body[:length]
    try:
        asked = msgspec.convert(decode_json(head), InferRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from error
    if length is None:
        return asked
    pieces = divided(request.body, length, [tensor.parameters.get(SIZE) for tensor in asked.inputs])
    inputs = [
        tensor if piece is None else PackedTensor(**asdict(tensor), packed=piece)
        for tensor, piece in zip(asked.inputs, pieces, strict=True)
    ]
    return replace(asked, inputs=inputs)


def _verb(asked: InferRequest, signature: Signature) -> PredictVerb:
    said: Any = asked.parameters.get("verb")
    verb = usual_verb(signature) if said is None else verb_of(str(said))
    if said is None and asked.outputs:
        wanted = {one.name for one in asked.outputs}
        for other, fields in signature.outputs.items():
            if wanted <= {field.name for field in fields}:
                verb = verb if wanted <= {field.name for field in signature.outputs[verb]} else other
    if verb == "learn":
        raise Unsupported("'learn' by this protocol", "POST /v1/models/NAME/learn does it.")
    if verb not in signature.outputs:
        raise InvalidRequest(f"the model does not know {verb!r}; it knows {', '.join(signature.outputs)}", "verb")
    return verb
