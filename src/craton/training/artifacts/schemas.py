"""A signature in words that others read: JSON Schema for a row, Arrow for a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from craton.core.predicting import Field, Signature

if TYPE_CHECKING:
    import pyarrow as pa

_JSON = {"number": "number", "integer": "integer", "boolean": "boolean", "text": "string"}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas(signature: Signature) -> dict[str, Any]:
    """{"inputs": schema of a row, "outputs": {verb: schema of an answer}}."""
    outputs = {verb: row_schema(fields) for verb, fields in signature.outputs.items() if fields}
    return {"inputs": row_schema(signature.inputs), "outputs": outputs}


def row_schema(fields: Sequence[Field]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {field.name: value_schema(field) for field in fields},
        "required": [field.name for field in fields if not field.nullable],
        "additionalProperties": False,
    }


def value_schema(field: Field) -> dict[str, Any]:
    if field.kind == "category":
        return {"enum": [*field.categories, *([None] if field.nullable else [])]}
    if field.kind == "time":
        found: dict[str, Any] = {"type": "string", "format": "date-time"}
    elif field.kind in {"vector", "image"}:
        found = {"type": "number"}
        for length in reversed(field.shape):
            found = {"type": "array", "items": found, "minItems": length, "maxItems": length}
        if field.kind == "image":
            file = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*"}
            return {"anyOf": [file, found, *([{"type": "null"}] if field.nullable else [])]}
    else:
        found = {"type": _JSON[field.kind]}
    return {**found, "type": [found["type"], "null"]} if field.nullable else found


def arrow_schema(fields: Sequence[Field]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(field.name, _arrow(field), field.nullable) for field in fields])


def _arrow(field: Field) -> pa.DataType:
    import pyarrow as pa

    if field.kind in {"vector", "image"}:
        kind = pa.float64()
        for length in reversed(field.shape):
            kind = pa.list_(kind, length)
        return kind
    if field.kind == "category":
        types = {type(category) for category in field.categories}
        if types == {bool}:
            return pa.bool_()
        return pa.int64() if types == {int} else pa.string()
    kinds = {
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "time": pa.timestamp("us", "UTC"),
    }
    return kinds[field.kind]
