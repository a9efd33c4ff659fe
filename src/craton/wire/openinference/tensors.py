"""Tensors as columns, and back.

A tensor is one column, named like the model's (shape [rows], [rows, 1], or [rows, ...] with the shape of a vector); or
a lone tensor of shape [rows, columns] under any other name holds all columns in the signature's order. Its data stand
in the JSON, or behind it as bytes (`binary`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from msgspec import Struct, field

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.predicting import Block, Field, PredictAnswer, Signature
from craton.engines.predictor.arranging import MAX_CELLS
from craton.engines.predictor.blocks import packed_columns
from craton.wire.openinference.binary import BINARY_DATA, BLOCKS, SIZE, check_size, packed, unpacked

TYPES = frozenset(
    {"BOOL", "BYTES", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
)
_PLAIN = frozenset({"number", "integer"})

Columns = tuple[list[Any] | bytes, ...] | Block


class Tensor(Struct, frozen=True):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] = []
    parameters: dict[str, Any] = {}


class PackedTensor(Tensor, frozen=True):
    """Whose bytes came behind the JSON."""

    packed: bytes = b""


class Wanted(Struct, frozen=True):
    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, frozen=True):
    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[Wanted] = []


def columns_of(tensors: Sequence[Tensor], signature: Signature) -> tuple[Columns, tuple[str, ...]]:
    """Columns and their names. Raises InvalidRequest."""
    for place, tensor in enumerate(tensors):
        _check(tensor, f"inputs[{place}]")
    known = {one.name: one for one in signature.inputs}
    if len(tensors) == 1 and _is_table(tensors[0], known, len(signature.inputs)):
        return _table(tensors[0]), ()
    return tuple(_column(tensor, known.get(tensor.name)) for tensor in tensors), tuple(one.name for one in tensors)


def _check(tensor: Tensor, where: str) -> None:
    if tensor.datatype not in TYPES:
        raise InvalidRequest(f"must be one of {', '.join(sorted(TYPES))}", f"{where}.datatype")
    if SIZE in tensor.parameters and not isinstance(tensor, PackedTensor):
        raise InvalidRequest("bytes of tensors need the header Inference-Header-Content-Length", where)
    if not tensor.shape or any(length < 0 for length in tensor.shape):
        raise InvalidRequest("must be the lengths of the tensor's dimensions", f"{where}.shape")
    if prod(tensor.shape) > MAX_CELLS:
        raise TooLarge(f"The tensor {tensor.name!r:.100}", MAX_CELLS, prod(tensor.shape), "values")


def _is_table(tensor: Tensor, known: dict[str, Field], width: int) -> bool:
    named = known.get(tensor.name)
    return len(tensor.shape) == 2 and tensor.shape[1] == width and (named is None or (width > 1 and not named.shape))


def _table(tensor: Tensor) -> Columns:
    width = tensor.shape[1]
    if (whole := _block(tensor, width)) is not None:
        return whole
    flat = _flat(tensor)
    return tuple(flat[place::width] for place in range(width))


def _column(tensor: Tensor, known: Field | None) -> list[Any] | bytes:
    files = known is not None and known.kind == "image" and tensor.datatype == "BYTES"
    if known is not None and known.shape and not files and not (known.kind == "text" and known.embedder):
        flat, size = _flat(tensor), prod(tensor.shape[1:])
        return [flat[row * size : (row + 1) * size] for row in range(tensor.shape[0])]
    if prod(tensor.shape[1:]) != 1:
        raise InvalidRequest(f"the tensor {tensor.name!r} must have the shape [rows] or [rows, 1]", "inputs")
    plain = known is not None and known.kind in _PLAIN
    if plain and (whole := _block(tensor, 1)) is not None:
        return packed_columns(whole)[0]
    return _flat(tensor)


def _block(tensor: Tensor, width: int) -> Block | None:
    """Numbers that came as bytes, as they are; None where they are to be looked at one by one."""
    if not isinstance(tensor, PackedTensor) or tensor.datatype not in BLOCKS or not width:
        return None
    check_size(tensor.name, tensor.datatype, tensor.packed, prod(tensor.shape))
    return Block(width, tensor.packed, BLOCKS[tensor.datatype])


def _flat(tensor: Tensor) -> list[Any]:
    """Data may be nested like the shape, or flat in row-major order."""
    if isinstance(tensor, PackedTensor):
        return unpacked(tensor.name, tensor.datatype, tensor.packed, prod(tensor.shape))
    flat = tensor.data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(part, list) for part in flat):
            raise InvalidRequest(f"the data of {tensor.name!r} are not as deep everywhere", "inputs")
        flat = [value for part in flat for value in part]
    if len(flat) != prod(tensor.shape):
        raise InvalidRequest(
            f"the tensor {tensor.name!r} has {len(flat):,} values; its shape asks for {prod(tensor.shape):,}", "inputs"
        )
    return flat


def tensors_of(
    answer: PredictAnswer, fields: Sequence[Field], wanted: Sequence[Wanted], *, binary: bool = False
) -> tuple[list[Json], list[bytes]]:
    """Outputs, and the bytes that stand behind the JSON. binary: how those are sent of which nothing is said.

    Raises InvalidRequest for an output that is not there."""
    asked = {one.name: one for one in wanted} or {name: Wanted(name) for name in answer.names}
    found = dict(zip(answer.names, answer.columns, strict=True))
    known = {one.name: one for one in fields}
    unknown = next((name for name in asked if name not in found), None)
    if unknown is not None:
        raise InvalidRequest(f"there is no output {unknown!r}; there are {', '.join(answer.names)}", "outputs")
    tensors, tails = [], []
    for name, one in asked.items():
        tensor: Json = {
            "name": name,
            "shape": [len(found[name]), *known[name].shape],
            "datatype": datatype(known[name]),
        }
        data = _flatten(found[name])
        if one.parameters.get(BINARY_DATA, binary) is True:
            tails.append(packed(tensor["datatype"], data))
            tensor["parameters"] = {SIZE: len(tails[-1])}
        else:
            tensor["data"] = data
        tensors.append(tensor)
    return tensors, tails


def datatype(field: Field) -> str:
    """Of a field's values on the wire."""
    if field.kind == "category":
        kinds = {type(category) for category in field.categories}
        return "BOOL" if kinds == {bool} else "INT64" if kinds == {int} else "BYTES"
    return {"integer": "INT64", "boolean": "BOOL", "text": "BYTES", "time": "BYTES"}.get(field.kind, "FP64")


def described(fields: Sequence[Field]) -> list[Json]:
    """Tensors of a model's metadata; the first dimension, rows, is open."""
    return [
        {
            "name": one.name,
            "datatype": datatype(one),
            "shape": [-1, *(() if one.kind == "text" else one.shape)],
            "parameters": {"kind": one.kind, "nullable": one.nullable}
            | ({"categories": one.categories} if one.categories else {}),
        }
        for one in fields
    ]


def _flatten(column: list[Any]) -> list[Any]:
    while column and isinstance(column[0], list):
        column = [value for part in column for value in part]
    return column
