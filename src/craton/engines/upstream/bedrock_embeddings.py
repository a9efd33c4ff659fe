"""Embeddings through InvokeModel: the bodies of Amazon Titan's and Cohere's models.

Source: the Amazon Bedrock user guide, "Inference request parameters and response fields".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.model import EmbedAnswer, EmbedRequest
from craton.engines.upstream.bedrock_request import BedrockOptions
from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.vectors import pack, share
from craton.engines.upstream.words import TokenCount

COHERE_BATCH = 96


class TitanVector(Struct):
    embedding: list[float]
    inputTextTokenCount: TokenCount


class _ByKind(Struct):
    floats: list[list[float]] = field(name="float")


class _Cohere(Struct):
    embeddings: _ByKind


def texts(request: EmbedRequest) -> list[str]:
    """Raises Unsupported for token ids."""
    found = [text for text in request.inputs if isinstance(text, str)]
    if len(found) != len(request.inputs):
        raise Unsupported("token ids as input over the Bedrock wire", "Send texts.")
    return found


def write_titan(text: str, request: EmbedRequest, model: str) -> Json:
    if request.truncate:
        raise Unsupported("cutting long inputs with Titan", "Shorten them before sending.")
    if "embed-text-v2" not in model:
        if request.dimensions is not None:
            raise Unsupported(f"dimensions with {model}")
        return {"inputText": text}
    body: Json = {"inputText": text, "normalize": True}
    return body if request.dimensions is None else body | {"dimensions": request.dimensions}


def read_titan(body: bytes) -> TitanVector:
    try:
        return msgspec.json.decode(body, type=TitanVector)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("it is not an embedding of Titan") from None


def write_cohere(request: EmbedRequest, model: str, options: BedrockOptions) -> Json:
    if len(request.inputs) > COHERE_BATCH:
        raise InvalidRequest(f"at most {COHERE_BATCH} inputs for {model}", "inputs")
    body: Json = {
        "texts": texts(request),
        "input_type": options.embed_purpose,
        "truncate": "END" if request.truncate else "NONE",
        "embedding_types": ["float"],
    }
    if request.dimensions is None:
        return body
    if "embed-v4" not in model:
        raise Unsupported(f"dimensions with {model}")
    return body | {"output_dimension": request.dimensions}


def read_cohere(body: bytes, headers: Mapping[str, str], request: EmbedRequest) -> EmbedAnswer:
    """Cohere's body counts nothing; Bedrock's header tells the sum."""
    try:
        rows = msgspec.json.decode(body, type=_Cohere).embeddings.floats
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("it is not a list of embeddings of Cohere") from None
    told = headers.get("x-amzn-bedrock-input-token-count", "")
    tokens, estimated = share(int(told) if told.isdecimal() and len(told) < 13 else None, request.inputs)
    return pack(rows, tokens, estimated=estimated)
