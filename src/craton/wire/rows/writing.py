"""From an answer's columns to a body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from craton.core.chat import Json
from craton.core.errors import Unsupported
from craton.core.predicting import Field, PredictAnswer
from craton.wire.rows.csv import write_csv
from craton.wire.rows.reading import CSV, JSON


def answer_type(accept: str, sent: str) -> str:
    """JSON or CSV: what the client accepts, else what it sent. Raises Unsupported for anything else."""
    wanted = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    for kind in wanted:
        if kind in {"", "*/*"}:
            return sent
        if kind in {CSV, "text/*"}:
            return CSV
        if kind in {JSON, "application/*"} or kind.endswith("+json"):
            return JSON
    raise Unsupported(f"An answer of the type {accept[:100]!r}", f"Accept {JSON} or {CSV}.")


def records(answer: PredictAnswer) -> list[Json]:
    """A row as an object."""
    return [dict(zip(answer.names, row, strict=True)) for row in zip(*answer.columns, strict=True)]


def categories(fields: Sequence[Field]) -> Json:
    """What the components of vectors stand for, where they stand for something."""
    return {field.name: field.categories for field in fields if field.categories and field.kind == "vector"}


def as_csv(answer: PredictAnswer, fields: Sequence[Field], *, header: bool) -> bytes:
    """A vector is a column for each of its components."""
    names: list[str] = []
    columns: list[list[Any]] = []
    for field, column in zip(fields, answer.columns, strict=True):
        if field.kind in {"vector", "image"} and column:
            for number, part in enumerate(zip(*map(_flat, column), strict=True)):
                of = field.categories[number] if number < len(field.categories) else number
                names.append(f"{field.name}_{of}")
                columns.append(list(part))
        else:
            names.append(field.name)
            columns.append(column)
    return write_csv(names if header else None, zip(*columns, strict=True))


def _flat(value: Any) -> list[Any]:
    return [part for inner in value for part in _flat(inner)] if isinstance(value, list) else [value]
