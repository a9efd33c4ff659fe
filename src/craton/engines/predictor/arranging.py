"""Columns as they came, put into the signature's order. Nothing is guessed: a column that is missing, unknown or named
twice is refused by its name. Runs in the server, before a model is loaded; values are looked at in the worker."""

from __future__ import annotations

import difflib
from array import array
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from craton.core.errors import InvalidRequest, TooLarge
from craton.core.predicting import Block, Field, PredictRequest, PredictVerb, Signature
from craton.engines.predictor.blocks import floats, packed_columns, packed_floats

MAX_ROWS = 1_000_000
MAX_CELLS = 8_000_000
NUMBER = 8  # bytes of a packed one
_MOST_SHOWN = 10
_NUMBERS = frozenset({int, float})
_PLAIN = frozenset({"number", "integer"})

Column = list[Any] | bytes


def taken(signature: Signature, verb: PredictVerb) -> tuple[Field, ...]:
    """The columns that a verb takes, in order."""
    if verb == "learn" and signature.target is not None:
        return (*signature.inputs, signature.target)
    return signature.inputs


def takes_numbers(signature: Signature) -> bool:
    """Alone: its rows may come as one block."""
    return all(field.kind in _PLAIN for field in signature.inputs)


def arranged(signature: Signature, request: PredictRequest) -> PredictRequest:
    """The same with its columns in the signature's order. Raises InvalidRequest that names the columns, TooLarge."""
    fields = taken(signature, request.verb)
    names = tuple(field.name for field in fields)
    given = request.columns
    if isinstance(given, Block):
        _bound(given.rows, given.width)
        if given.width == len(fields) and request.names in {(), names} and all(one.kind in _PLAIN for one in fields):
            return replace(request, names=names)
        given = packed_columns(given)
    columns = _by_place(fields, given) if not request.names else _by_name(fields, request.names, given)
    rows = length(columns[0])
    uneven = next((field.name for field, column in zip(fields, columns, strict=True) if length(column) != rows), None)
    if uneven is not None:
        raise InvalidRequest(f"the column {uneven!r} does not have as many values as {fields[0].name!r}", "columns")
    _bound(rows, len(columns))
    return replace(request, columns=tuple(columns), names=names)


def _bound(rows: int, width: int) -> None:
    if rows > MAX_ROWS:
        raise TooLarge("The request", MAX_ROWS, rows, "rows")
    if rows * width > MAX_CELLS:
        raise TooLarge("The request", MAX_CELLS, rows * width, "cells")


def length(column: Column) -> int:
    """In rows."""
    return len(column) // NUMBER if isinstance(column, bytes) else len(column)


def packed(fields: Sequence[Field], request: PredictRequest) -> PredictRequest:
    """The same, arranged already, with numbers packed where the model takes numbers: they travel faster so."""
    if isinstance(request.columns, Block):
        return request
    plain = [field.kind in _PLAIN for field in fields]
    columns = (_packed(column) if is_plain else column for is_plain, column in zip(plain, request.columns, strict=True))
    return replace(request, columns=tuple(columns))


def _packed(column: Column) -> Column:
    if not isinstance(column, bytes) and column and set(map(type, column)) <= _NUMBERS:
        try:
            return packed_floats(array("d", column))
        except OverflowError:  # a number beyond all floats: refused by its place
            return column
    return column


def unpacked(column: Column) -> list[Any]:
    return floats(column).tolist() if isinstance(column, bytes) else column


def unportable(request: PredictRequest) -> InvalidRequest:
    """Why rows cannot be sent to a worker: a whole number in them does not fit 64 bits."""
    columns = () if isinstance(request.columns, Block) else request.columns
    for name, column in zip(request.names, columns, strict=False):
        for row, value in enumerate(unpacked(column)):
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                return InvalidRequest(f"row {row}, column {name!r}: the number does not fit 64 bits", "rows")
    return InvalidRequest("a whole number in them does not fit 64 bits", "rows")


def _by_place(fields: Sequence[Field], columns: Sequence[Column]) -> list[Column]:
    if len(columns) != len(fields):
        raise InvalidRequest(
            f"{len(columns)} columns without names came; the model takes {len(fields)}: {shown(fields)}", "columns"
        )
    return list(columns)


def _by_name(fields: Sequence[Field], names: Sequence[str], columns: Sequence[Column]) -> list[Column]:
    given = dict(zip(names, columns, strict=True))
    if len(given) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"the column {twice!r} came twice", "columns")
    expected = [field.name for field in fields]
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in set(expected)]
    if missing or unknown:
        raise InvalidRequest(_mismatch(fields, missing, unknown), "columns")
    return [given[name] for name in expected]


def _mismatch(fields: Sequence[Field], missing: list[str], unknown: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing: {_listed(missing)}")
    if unknown:
        near = [f"{name!r}{_guess(name, missing)}" for name in unknown[:_MOST_SHOWN]]
        rest = f" and {len(unknown) - _MOST_SHOWN} more" if len(unknown) > _MOST_SHOWN else ""
        parts.append(f"not known: {', '.join(near)}{rest}")
    return f"{'; '.join(parts)}. The model takes {shown(fields)}"


def _guess(name: str, missing: list[str]) -> str:
    near = difflib.get_close_matches(name, missing, 1)
    return f" (is it {near[0]!r}?)" if near else ""


def shown(fields: Sequence[Field]) -> str:
    """Fields for an error: "age (number), plan (category)"."""
    names = [f"{field.name} ({field.kind})" for field in fields]
    return ", ".join(names[:50]) + (f" and {len(names) - 50} more" if len(names) > 50 else "")


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(map(repr, names[:_MOST_SHOWN])) + rest
