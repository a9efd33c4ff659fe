"""What a JSON schema may be before anything compiles it: cheap, in process, and said in words."""

from __future__ import annotations

from typing import Any

import msgspec

from craton.core.chat import Json
from craton.core.errors import InvalidRequest

MAX_BYTES = 256 * 1024
MAX_DEPTH = 48
MAX_NODES = 20_000
MAX_TEXT = 1_000  # characters of a pattern
MAX_ENUM = 1_000
MAX_COUNTS = {
    "minItems": 10_000,
    "maxItems": 10_000,
    "minProperties": 1_000,
    "maxProperties": 1_000,
    "minLength": 100_000,
    "maxLength": 100_000,
}


def check_bounds(schema: Json, field: str) -> bytes:
    """The schema as canonical JSON. Raises InvalidRequest, with the first bound that it breaks."""
    level: list[Any] = [schema]
    nodes = depth = 0
    while level:  # before encoding, which recurses
        depth += 1
        nodes += len(level)
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"the schema is nested deeper than {MAX_DEPTH} levels", field)
        if nodes > MAX_NODES:
            raise InvalidRequest(f"the schema has more than {MAX_NODES:,} parts", field)
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                _check_keywords(value, field)
                below.extend(value.values())
            elif isinstance(value, (list, tuple)):
                below.extend(value)
        level = below
    encoded = msgspec.json.encode(schema)
    if len(encoded) > MAX_BYTES:
        raise InvalidRequest(f"the schema is larger than {MAX_BYTES // 1024} KiB", field)
    return encoded


def _check_keywords(schema: dict[str, Any], field: str) -> None:
    """Values of another type are left to the compiler: `pattern` may as well be the name of a property."""
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and len(pattern) > MAX_TEXT:
        raise InvalidRequest(f"a pattern is longer than {MAX_TEXT:,} characters", field)
    values = schema.get("enum")
    if isinstance(values, list) and len(values) > MAX_ENUM:
        raise InvalidRequest(f"an enum has more than {MAX_ENUM:,} values", field)
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise InvalidRequest('a $ref must stay inside the schema (start with "#")', field)
    for keyword, limit in MAX_COUNTS.items():
        count = schema.get(keyword)
        if isinstance(count, (int, float)) and count > limit:
            raise InvalidRequest(f"{keyword} is larger than {limit:,}", field)
