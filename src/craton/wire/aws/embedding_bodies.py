"""InvokeModel with embedders: the bodies of Amazon Titan's and Cohere's, told apart by their own keys.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
model-parameters-embed-v3.html
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.model import EmbedAnswer, EmbedRequest
from craton.serve.inference import Call, Serving
from craton.wire.http import encode_json

_HINT = 'Send {"inputText": ...} as to Titan, or {"texts": [...], "input_type": ...} as to Cohere.'
T = TypeVar("T")
_CUT = {"NONE": False, "END": True, "RIGHT": True}


class _Titan(Struct, forbid_unknown_fields=True):
    inputText: Annotated[str, Meta(min_length=1)]
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    normalize: bool = True
    embeddingTypes: list[str] | None = None


class _Cohere(Struct, forbid_unknown_fields=True):
    texts: Annotated[list[str], Meta(min_length=1, max_length=96)]
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    truncate: Literal["NONE", "START", "END", "LEFT", "RIGHT"] = "NONE"
    embedding_types: list[str] | None = None
    output_dimension: Annotated[int, Meta(ge=1)] | None = None


def embeds(body: Json) -> bool:
    """Whether it is one of these."""
    return "inputText" in body or "texts" in body


async def embed_body(serving: Serving, call: Call, model: str, body: Json) -> bytes:
    """body: decoded. Raises InvalidRequest, Unsupported."""
    if "inputText" in body:
        return encode_json(await _titan(serving, call, model, _convert(body, _Titan)))
    if "texts" in body:
        return encode_json(await _cohere(serving, call, model, _convert(body, _Cohere)))
    raise InvalidRequest(f"an embedder does not know this body. {_HINT}")


async def _titan(serving: Serving, call: Call, model: str, asked: _Titan) -> Json:
    if not asked.normalize:
        raise Unsupported("normalize: false", "Vectors have the length 1 here.")
    _refuse_types(asked.embeddingTypes, "embeddingTypes")
    answer = await serving.embed(call, EmbedRequest(model, (asked.inputText,), asked.dimensions))
    (vector,) = answer.rows()
    by_type = {} if asked.embeddingTypes is None else {"embeddingsByType": {"float": vector}}
    return {"embedding": vector, "inputTextTokenCount": sum(answer.tokens), **by_type}


async def _cohere(serving: Serving, call: Call, model: str, asked: _Cohere) -> Json:
    if asked.truncate not in _CUT:
        raise Unsupported(f"truncate: {asked.truncate}", "Texts can be cut at their end (END), or refused (NONE).")
    _refuse_types(asked.embedding_types, "embedding_types")
    request = EmbedRequest(model, tuple(asked.texts), asked.output_dimension, _CUT[asked.truncate])
    answer: EmbedAnswer = await serving.embed(call, request)
    beside = {"id": call.request_id, "texts": asked.texts}
    if asked.embedding_types is None:
        return {**beside, "embeddings": answer.rows(), "response_type": "embeddings_floats"}
    return {**beside, "embeddings": {"float": answer.rows()}, "response_type": "embeddings_by_type"}


def _refuse_types(types: list[str] | None, field: str) -> None:
    for kind in types or ():
        if kind != "float":
            raise Unsupported(f"{field} with {kind!r}", "Vectors are floats here.")


def _convert(body: Json, kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "body") from None
