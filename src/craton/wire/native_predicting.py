"""Craton's own routes to trained models: rows in, named outputs out, as JSON or CSV (`wire.rows` has the forms).

POST /v1/models/acme/churn/predict     also predict_proba, transform, act, learn
POST /v1/models/acme/churn/snapshot    what it learned since becomes a revision
GET  /v1/models/acme/churn/signature   what it takes and gives
GET  /v1/models/acme/churn/drift       how far the rows that came are from those it was trained on
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import msgspec

from craton.core.access import Action
from craton.core.chat import Json
from craton.core.predicting import PredictVerb, Signature
from craton.serve.inference import Call, Predicting
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.openai.errors import write_error
from craton.wire.ran import RAN
from craton.wire.rows.reading import CSV, media_type, read_table
from craton.wire.rows.writing import answer_type, as_csv, categories

MAX_BODY = 64 * 1024 * 1024
MODELS = ("/v1/models/{name}", "/v1/models/{namespace}/{name}")

Ask = Callable[[Request, str], Awaitable[Reply]]


class PredictingDialect:
    """Errors are written as `wire.native` writes them."""

    name = "craton"

    def __init__(self, serving: Predicting, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._serving, self._monotonic = serving, monotonic

    def routes(self) -> list[Route]:
        def route(method: str, pattern: str, operation: str, ask: Ask, action: Action) -> Route:
            async def answer(request: Request) -> Reply:
                return await ask(request, model_named(request))

            return Route(method, pattern, self.name, operation, answer, write_error, action, max_body=MAX_BODY)

        found = []
        for model in MODELS:
            for verb in get_args(PredictVerb):
                action = Action.WRITE if verb == "learn" else Action.INVOKE
                found.append(route("POST", f"{model}/{verb}", _OPERATIONS[verb], self._asking(verb), action))
            found.append(route("POST", f"{model}/snapshot", "SnapshotModel", self._snapshot, Action.WRITE))
            found.append(route("GET", f"{model}/signature", "GetModelSignature", self._signature, Action.READ))
            found.append(route("GET", f"{model}/drift", "GetModelDrift", self._drift, Action.READ))
        return found

    def _asking(self, verb: PredictVerb) -> Ask:
        async def ask(request: Request, name: str) -> Reply:
            started = self._monotonic()
            info, signature = await self._serving.signature(request.authenticated, name)
            sent = request.headers.get("content-type", "")
            wanted = answer_type(request.headers.get("accept", ""), media_type(sent))
            table = read_table(request.body, sent, signature, verb)
            asked = table.request(name, verb)
            answer = await self._serving.predict(_call(request, _OPERATIONS[verb]), asked)
            headers = {RAN: info.id}
            fields = signature.outputs.get(verb, ())
            if wanted == CSV and verb != "learn":
                return Reply(
                    200, as_csv(answer, fields, header=True), {"content-type": f"{CSV}; charset=utf-8", **headers}
                )
            told: Json = {"model": info.id, "revision": info.revision, "rows": asked.rows}
            if verb == "learn":
                return json_reply(200, {**told, "state": answer.state}, headers)
            told["outputs"] = dict(zip(answer.names, answer.columns, strict=True))
            if meaning := categories(fields):
                told["categories"] = meaning
            told["seconds"] = round(self._monotonic() - started, 6)
            return json_reply(200, told, headers)

        return ask

    async def _snapshot(self, request: Request, name: str) -> Reply:
        snapshot = await self._serving.snapshot(_call(request, "SnapshotModel"), name)
        return json_reply(200, {"model": name, "revision": snapshot.revision, "rows": snapshot.rows})

    async def _signature(self, request: Request, name: str) -> Reply:
        info, signature = await self._serving.signature(request.authenticated, name)
        told = {"model": info.id, "revision": info.revision, "verbs": info.verbs, "signature": _described(signature)}
        return json_reply(200, told, {RAN: info.id})

    async def _drift(self, request: Request, name: str) -> Reply:
        return json_reply(200, await self._serving.drift(request.authenticated, name))


_OPERATIONS: dict[PredictVerb, str] = {
    "predict": "Predict",
    "predict_proba": "PredictProbabilities",
    "transform": "Transform",
    "act": "Act",
    "learn": "Learn",
}


def model_named(request: Request) -> str:
    """namespace/name, or the name alone: it may be the whole, with its slash as %2F."""
    namespace = request.params.get("namespace")
    return f"{namespace}/{request.params['name']}" if namespace else request.params["name"]


def _call(request: Request, operation: str) -> Call:
    return Call(request.authenticated, request.request_id, "craton", operation)


def _described(signature: Signature) -> Any:
    return msgspec.to_builtins(signature)
