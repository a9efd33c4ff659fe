"""What is wrong with single values, in words: "row 3, column 'age': 'abc' is not a number"; rows count from 0."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.engines.predictor.columns import is_category, read_values
from craton.engines.predictor.pictures import NoPicture, decoded, from_text

MOST_FAULTS = 10
_SHOWN = 60  # characters of a wrong value


class Fault(NamedTuple):
    row: int
    column: str
    why: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column!r}: {self.why}"


def refusal(faults: list[Fault]) -> InvalidRequest:
    faults.sort(key=lambda fault: fault.row)
    more = f"; and {len(faults) - MOST_FAULTS:,} more" if len(faults) > MOST_FAULTS else ""
    return InvalidRequest("; ".join(map(str, faults[:MOST_FAULTS])) + more, "rows")


def faults_in(field: Field, column: list[Any]) -> Iterator[Fault]:
    for row, value in enumerate(column):
        if why := _why(field, value):
            yield Fault(row, field.name, why)


def _why(field: Field, value: Any) -> str:
    if value is None:
        return "" if field.nullable else f"it is missing; the model needs {_wanted(field)} in every row"
    if field.kind == "image" and isinstance(value, str):
        return _picture_fault(field, value)
    fits = is_category(field, value) if field.kind == "category" else read_values(field, [value]) is not None
    return "" if fits else f"{_show(value)} is not {_wanted(field)}"


def _picture_fault(field: Field, value: str) -> str:
    try:
        decoded(from_text(value), field.shape)
    except NoPicture as error:
        return str(error)
    return ""


def _wanted(field: Field) -> str:
    if field.kind == "category":
        some = ", ".join(repr(category) for category in islice(field.categories, 10))
        return f"one of {some}{' ...' if len(field.categories) > 10 else ''}" if some else "a category"
    if field.kind == "image":
        return f"a picture's file in base64, or {' x '.join(map(str, field.shape))} numbers"
    if field.shape and (field.kind != "text" or field.embedder):
        return f"a {field.kind if field.kind != 'text' else 'vector'} of {' x '.join(map(str, field.shape))} numbers"
    return {
        "number": "a finite number",
        "integer": "a whole number",
        "boolean": "true or false",
        "time": "a time as in 2026-01-31T12:00:00Z",
    }.get(field.kind, "a text")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
