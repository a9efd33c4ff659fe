"""POST /embeddings: the body -> an `EmbedRequest`, and the vectors out."""

from __future__ import annotations

import array
import binascii

import msgspec
from msgspec import Struct

from craton.core.errors import InvalidRequest
from craton.core.model import EmbedAnswer, EmbedRequest
from craton.wire.body import read_body
from craton.wire.http import encode_json
from craton.wire.openai.requests import EmbeddingsBody

MAX_INPUTS = 2048
_DECODER = msgspec.json.Decoder(EmbeddingsBody)
_COMPONENT = 4  # bytes of a float32


class AskedVectors(Struct, frozen=True):
    """base64: whether the vectors are wanted as base64 of little-endian float32 rather than as lists."""

    request: EmbedRequest
    base64: bool


def read_embeddings(body: bytes) -> AskedVectors:
    """Raises InvalidRequest."""
    asked = read_body(_DECODER, body, {})
    return AskedVectors(
        EmbedRequest(asked.model, _read_inputs(asked.input), asked.dimensions), asked.encoding_format == "base64"
    )


def _read_inputs(given: str | list[str | int | list[int]]) -> tuple[str | tuple[int, ...], ...]:
    """A flat list of numbers is one input."""
    if isinstance(given, str):
        inputs: tuple[str | tuple[int, ...], ...] = (given,)
    elif isinstance(given[0], int):
        inputs = (tuple(item for item in given if isinstance(item, int)),)
        if len(inputs[0]) != len(given):
            raise InvalidRequest("token ids and texts cannot be mixed", "input")
    else:
        if len({type(item) for item in given}) > 1:
            raise InvalidRequest("token ids and texts cannot be mixed", "input")
        inputs = tuple(tuple(item) if isinstance(item, list) else item for item in given if not isinstance(item, int))
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(f"at most {MAX_INPUTS} inputs, got {len(inputs)}", "input")
    for i, item in enumerate(inputs):
        if not item:
            raise InvalidRequest("it is empty", f"input[{i}]" if isinstance(given, list) else "input")
    return inputs


def write_embeddings(answer: EmbedAnswer, model: str, base64: bool) -> bytes:
    """model: the name that the caller used."""
    width = answer.dimensions * _COMPONENT
    rows = [answer.vectors[i : i + width] for i in range(0, len(answer.vectors), width)]
    total = sum(answer.tokens)
    return encode_json(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": i, "embedding": _write_vector(row, base64)}
                for i, row in enumerate(rows)
            ],
            "model": model,
            "usage": {"prompt_tokens": total, "total_tokens": total},
        }
    )


def _write_vector(row: bytes, base64: bool) -> str | list[float]:
    if base64:
        return binascii.b2a_base64(row, newline=False).decode("ascii")
    return array.array("f", row).tolist()
