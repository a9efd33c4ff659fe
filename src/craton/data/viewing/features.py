"""Columns in the Hub's JSON, from Arrow's types. Runs in the child."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from craton.core.errors import Unsupported
from craton.data.viewing.values import Feature

METADATA = b"huggingface"
"""The key in a schema's metadata under which the `datasets` library keeps its features."""

_EQUAL_NAMES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "null", "bool", "binary")
_OTHER_NAMES = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}


def features_of(schema: pa.Schema) -> dict[str, Feature]:
    """What the `datasets` library wrote into the file, if it fits the columns, or else what Arrow's types say."""
    said = _written(schema)
    return {field.name: said.get(field.name) or feature_of(field.type) for field in schema}


def _written(schema: pa.Schema) -> dict[str, Feature]:
    try:
        found = msgspec.json.decode((schema.metadata or {}).get(METADATA, b""))["info"]["features"]
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: feature for name, feature in found.items() if isinstance(feature, dict | list) and feature}


def with_features(schema: pa.Schema, features: dict[str, Feature]) -> pa.Schema:
    kept = {key: value for key, value in (schema.metadata or {}).items() if key != METADATA}
    return schema.with_metadata({**kept, METADATA: msgspec.json.encode({"info": {"features": features}})})


def feature_of(kind: pa.DataType) -> Feature:
    """Raises Unsupported for types that have no name there (unions, maps of anything but lists)."""
    if pa.types.is_struct(kind):
        return {kind.field(index).name: feature_of(kind.field(index).type) for index in range(kind.num_fields)}
    if pa.types.is_large_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "LargeList"}
    if pa.types.is_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "List"}
    if pa.types.is_fixed_size_list(kind):
        return {"feature": feature_of(kind.value_type), "length": kind.list_size, "_type": "List"}
    if pa.types.is_map(kind):
        pair = {"key": feature_of(kind.key_type), "value": feature_of(kind.item_type)}
        return {"feature": pair, "_type": "List"}
    if pa.types.is_dictionary(kind):
        return feature_of(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return feature_of(kind.storage_type)
    return _value(_name(kind))


def _value(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "_type": "Value"}


def _name(kind: pa.DataType) -> str:
    said = str(kind)
    if said in _EQUAL_NAMES:
        return said
    if said in _OTHER_NAMES:
        return _OTHER_NAMES[said]
    if said in {"string", "large_string", "large_binary", "binary_view", "string_view"}:
        return said
    if pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind):
        return f"fixed_size_binary[{kind.byte_width}]"
    if said.startswith(("timestamp[", "duration[", "time32[", "time64[", "decimal128(", "decimal256(")):
        return said
    raise Unsupported(f"A column of Arrow's type {said[:80]!r}")
