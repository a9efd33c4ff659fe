"""Craton's own routes that look inside a model.

POST /v1/models/acme/tiny/tokens     {"text": "..."}                           how it is cut, and what reading it costs
POST /v1/models/acme/tiny/attention  {"text": "...", "layer": 3, "head": 1}    who looks at whom: JSON, or image/png
POST /v1/models/acme/tiny/next       {"text": "...", "top": 10}                the likeliest next tokens
"""

from __future__ import annotations

import array
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from craton.core.access import Action, Caller
from craton.core.errors import InvalidRequest
from craton.inspecting.limits import MAX_TEXT
from craton.inspecting.values import Attention, Next, Seen, Tokens
from craton.serve.inference import Call
from craton.wire.http import Handler, Reply, Request, Route, decode_json, json_reply
from craton.wire.native_predicting import MODELS, model_named
from craton.wire.openai.errors import write_error
from craton.wire.ran import RAN

MAX_BODY = 8 * MAX_TEXT  # a letter may be six bytes of JSON
PNG = "image/png"
_DIGITS = 6

T = TypeVar("T")


class TextBody(Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class AttentionBody(TextBody, frozen=True, forbid_unknown_fields=True):
    layer: Annotated[int, Meta(ge=0)] | None = None
    head: Annotated[int, Meta(ge=0)] | None = None


class NextBody(TextBody, frozen=True, forbid_unknown_fields=True):
    top: Annotated[int, Meta(ge=1, le=200)] = 10


class Looking(Protocol):
    """See `inspecting.inspector.Inspector`."""

    async def tokens(self, caller: Caller, name: str, text: str) -> Tokens: ...

    async def attention(
        self, caller: Caller, name: str, text: str, *, layer: int | None, head: int | None, picture: bool
    ) -> Attention: ...

    async def next(self, call: Call, name: str, text: str, top: int) -> Next: ...


class InspectingDialect:
    """Errors are written as `wire.native` writes them."""

    name = "craton"

    def __init__(self, looking: Looking) -> None:
        self._looking = looking

    def routes(self) -> list[Route]:
        asked: dict[str, tuple[str, Handler]] = {
            "tokens": ("ExplainTokens", self._tokens),
            "attention": ("ExplainAttention", self._attention),
            "next": ("ExplainNext", self._next),
        }
        return [
            Route(
                "POST", f"{model}/{verb}", self.name, operation, handler, write_error, Action.INVOKE, max_body=MAX_BODY
            )
            for model in MODELS
            for verb, (operation, handler) in asked.items()
        ]

    async def _tokens(self, request: Request) -> Reply:
        body = _read(request, TextBody)
        found = await self._looking.tokens(request.authenticated, model_named(request), body.text)
        return json_reply(200, found, {RAN: found.model})

    async def _attention(self, request: Request) -> Reply:
        body = _read(request, AttentionBody)
        picture = PNG in request.headers.get("accept", "")
        found = await self._looking.attention(
            request.authenticated,
            model_named(request),
            body.text,
            layer=body.layer,
            head=body.head,
            picture=picture,
        )
        if picture:
            return Reply(200, found.seen.picture, {"content-type": PNG, RAN: found.model})
        return json_reply(200, _written(found), {RAN: found.model})

    async def _next(self, request: Request) -> Reply:
        body = _read(request, NextBody)
        call = Call(request.authenticated, request.request_id, "craton", "ExplainNext")
        found = await self._looking.next(call, model_named(request), body.text, body.top)
        return json_reply(200, found, {RAN: found.model})


def _read(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.convert(decode_json(request.body), kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None


def _written(found: Attention) -> dict[str, Any]:
    seen = found.seen
    return {
        "model": found.model,
        "revision": found.revision,
        "layers": seen.layers,
        "heads": seen.heads,
        "pieces": seen.pieces,
        "attention": _grids(seen),
    }


def _grids(seen: Seen) -> list[dict[str, Any]]:
    size = len(seen.pieces)
    numbers = array.array("f", seen.weights)
    grids = []
    for index, (layer, head) in enumerate(seen.chosen):
        start = index * size * size
        rows = [
            [round(number, _DIGITS) for number in numbers[row : row + size]]
            for row in range(start, start + size * size, size)
        ]
        grids.append({"layer": layer, "head": head, "weights": rows})
    return grids
