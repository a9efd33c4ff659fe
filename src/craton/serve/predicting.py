"""What predictors need on the way to them: their signature, the vectors of their texts, what is kept of their rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import Damaged, InvalidRequest
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.core.predicting import Block, Field, PredictAnswer, PredictRequest, PredictVerb, Signature
from craton.engines.predictor.arranging import NUMBER, taken, unpacked
from craton.engines.predictor.blocks import first_rows

KEPT_ROWS = 10  # of a request and its answer, in its trace
EMBED_AT_ONCE = 1024  # texts
REMEMBERED = 512

Embed = Callable[[EmbedRequest], Awaitable[EmbedAnswer]]


class AskedRows(Struct, frozen=True):
    """What a trace keeps of a request to a predictor: its first rows."""

    model: str
    verb: PredictVerb
    rows: int
    names: tuple[str, ...]
    first: tuple[tuple[Any, ...], ...]


class ToldRows(Struct, frozen=True):
    """And of the answer."""

    names: tuple[str, ...]
    first: tuple[tuple[Any, ...], ...]
    state: dict[str, Any] = {}


def asked(request: PredictRequest) -> AskedRows:
    return AskedRows(request.model, request.verb, request.rows, request.names, _first(request.columns))


def told(answer: PredictAnswer) -> ToldRows:
    return ToldRows(answer.names, _first(answer.columns), answer.state)


def _first(columns: Sequence[list[Any] | bytes] | Block) -> tuple[tuple[Any, ...], ...]:
    if isinstance(columns, Block):
        return first_rows(columns, KEPT_ROWS)
    return tuple(zip(*(_some(column) for column in columns), strict=False))


def _some(column: list[Any] | bytes) -> list[Any]:
    return unpacked(column[: KEPT_ROWS * NUMBER]) if isinstance(column, bytes) else column[:KEPT_ROWS]


class Signatures:
    """Of models, read once: a request takes less time than reading one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[ModelInfo, Signature]] = {}

    def of(self, info: ModelInfo) -> Signature:
        """Raises Damaged for a model without one."""
        key = (info.id, info.revision)
        known = self._known.get(key)
        if known is not None and known[0] is info:
            return known[1]
        try:
            signature = msgspec.convert((info.details or {}).get("signature"), Signature)
        except msgspec.ValidationError as error:
            raise Damaged(info.id, "it has no signature") from error
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (info, signature)
        return signature


async def with_vectors(signature: Signature, request: PredictRequest, embed: Embed) -> PredictRequest:
    """The same with vectors in the place of texts whose field names an embedder. request: in the signature's order.

    A missing text is an empty one, as in training; equal texts are embedded once. Raises InvalidRequest.
    """
    if isinstance(request.columns, Block):
        return request
    fields = taken(signature, request.verb)
    columns = list(request.columns)
    for place, field in enumerate(fields):
        column = columns[place]
        if field.kind == "text" and field.embedder and isinstance(column, list):
            columns[place] = await _embedded(field, column, embed)
    return replace(request, columns=tuple(columns))


async def _embedded(field: Field, column: list[Any], embed: Embed) -> list[Any]:
    texts = [_text(field, row, value) for row, value in enumerate(column)]
    distinct = list(dict.fromkeys(texts))
    vectors: dict[str, list[float]] = {}
    for start in range(0, len(distinct), EMBED_AT_ONCE):
        batch = distinct[start : start + EMBED_AT_ONCE]
        answer = await embed(EmbedRequest(field.embedder, tuple(batch), truncate=True))
        if field.shape and (answer.dimensions,) != field.shape:
            raise Damaged(
                "the model", f"{field.embedder!r} makes {answer.dimensions} numbers of a text, not {field.shape[0]}"
            )
        vectors.update(zip(batch, answer.rows(), strict=True))
    return [vectors[text] for text in texts]


def _text(field: Field, row: int, value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None and field.nullable:
        return ""
    why = "it is missing; the model needs a text in every row" if value is None else f"{value!r:.60} is not a text"
    raise InvalidRequest(f"row {row}, column {field.name!r}: {why}", "rows")
