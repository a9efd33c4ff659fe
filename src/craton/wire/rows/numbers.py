"""Bodies of rows that hold numbers alone, for models that take numbers alone: decoded at once into one block.

Anything else, what is wrong among it, is left to the slower reader, which knows every form and tells what it is.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import astuple

from craton.core.predicting import Block
from craton.engines.predictor.blocks import block_of

MOST_NAMED = 1000  # columns of rows that are objects: a decoder is made for their names
_REMEMBERED = 64  # models whose decoder is kept

_Rows = list[list[float]]
_OTHERS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, struct.error, OverflowError)


class _Body(Struct, forbid_unknown_fields=True):
    """Lists under one of the names that rows may have."""

    rows: _Rows | UnsetType = UNSET
    instances: _Rows | UnsetType = UNSET
    inputs: _Rows | UnsetType = UNSET
    names: tuple[str, ...] = ()


_LISTS, _BODIES = msgspec.json.Decoder(_Rows), msgspec.json.Decoder(_Body)


class Numbers(NamedTuple):
    block: Block
    names: tuple[str, ...]


def read_numbers(body: bytes, inputs: tuple[str, ...]) -> Numbers | None:
    """inputs: the model's columns, in their order. None for every other body."""
    return _from_lists(body, len(inputs)) or _from_objects(body, inputs)


def _from_lists(body: bytes, width: int) -> Numbers | None:
    try:
        if body[:64].lstrip()[:1] == b"[":
            rows, names = _LISTS.decode(body), tuple[str, ...]()
        else:
            found = _BODIES.decode(body)
            rows, names = _only(found.rows, found.instances, found.inputs), found.names
        if not rows or len(names or rows[0]) != width:
            return None
        return Numbers(block_of(rows, width), names)
    except _OTHERS:
        return None


def _from_objects(body: bytes, inputs: tuple[str, ...]) -> Numbers | None:
    if not 2 <= len(inputs) <= MOST_NAMED:
        return None
    bare, named = _objects(inputs)
    try:
        if body[:64].lstrip()[:1] == b"[":
            rows = bare.decode(body)
        else:
            found = named.decode(body)
            rows = _only(found.rows, found.instances, found.dataframe_records)
        return Numbers(block_of(map(astuple, rows), len(inputs)), inputs) if rows else None
    except _OTHERS:
        return None


def _only(*given: Any) -> Any:
    """The rows, when exactly one member of the body has them."""
    there = [rows for rows in given if rows is not UNSET]
    return there[0] if len(there) == 1 else None


@lru_cache(_REMEMBERED)
def _objects(names: tuple[str, ...]) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Of objects that have exactly these names, all numbers: alone, and as a member of a body."""
    places = [f"f{number}" for number in range(len(names))]
    row = msgspec.defstruct(
        "Row",
        [(place, float) for place in places],
        rename=dict(zip(places, names, strict=True)),
        forbid_unknown_fields=True,
    )
    rows = list[row] | UnsetType  # type: ignore[valid-type]
    members = [(name, rows, UNSET) for name in ("rows", "instances", "dataframe_records")]
    body = msgspec.defstruct("Body", members, forbid_unknown_fields=True)
    return msgspec.json.Decoder(list[row]), msgspec.json.Decoder(body)  # type: ignore[valid-type]
