"""The smallest JSON value that fits a JSON schema: what echo gives a tool that must be called.

A schema whose smallest value this module cannot work out is refused (Unsupported); nothing is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from craton.core.errors import InvalidRequest, Unsupported

MAX_DEPTH = 32
MAX_VALUES = 10_000
_REFUSED = frozenset(
    {
        "not",
        "if",
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "patternProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_CANDIDATES = ("", "a", "A", "0", "1", "aa", "AA", "00", "aaa", "AAA", "000", "a0", "A0", "0000", "00000", "2026-01-01")
_QUANTIFIER = re.compile(r"[*+?{]")
_QUANTIFIED_GROUP = re.compile(r"\)[*+?{]")


def minimal(schema: Any) -> Any:
    """A valid value. Raises Unsupported when the schema uses what this module does not know or is endless, and
    InvalidRequest when it is no schema."""
    try:
        return _Builder(schema).build(schema, 0)
    except (TypeError, AttributeError, KeyError, IndexError, ArithmeticError) as error:
        raise InvalidRequest("a keyword of the JSON schema has a value of the wrong type", "schema") from error


class _Builder:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MAX_VALUES

    def build(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise _cannot("a schema that is endless or very large")
        if schema is True:
            return None
        if not isinstance(schema, dict):
            raise _cannot("a schema that is neither an object nor true")
        if unknown := _REFUSED.intersection(schema):
            raise _cannot(f"the schema keyword {min(unknown)!r}")
        schema = self._flatten(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        return self._by_type(schema, depth)

    def _flatten(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Follows $ref and merges allOf and the first branch of anyOf and oneOf that has a value."""
        flat = {key: value for key, value in schema.items() if key not in {"$ref", "allOf", "anyOf", "oneOf"}}
        parts = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.append(self._resolve(schema["$ref"]))
        parts += [self._first_possible(schema[key], depth) for key in ("anyOf", "oneOf") if schema.get(key)]
        for part in parts:
            self._left -= 1
            if depth > MAX_DEPTH or self._left < 0:
                raise _cannot("a schema that refers to itself without end, or is very large")
            if part is not True:
                flat = _merge(flat, self._flatten(part, depth + 1))
        return flat

    def _first_possible(self, branches: list[Any], depth: int) -> Any:
        for branch in branches:
            try:
                self.build(branch, depth + 1)
            except Unsupported:
                continue
            return branch
        raise _cannot("a choice of schemas of which none is known")

    def _resolve(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _cannot("a $ref to another document")
        value = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(value, dict) or name not in value:
                raise _cannot(f"the $ref {reference!r}")
            value = value[name]
        return value

    def _by_type(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema or "required" in schema else None)
        if isinstance(kind, list):
            kind = kind[0] if kind else None
        if kind is None:
            kind = (
                "array" if "items" in schema else "string" if "pattern" in schema or "minLength" in schema else "null"
            )
        builders: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "string": lambda: _string(schema),
            "integer": lambda: _number(schema, whole=True),
            "number": lambda: _number(schema, whole=False),
            "boolean": lambda: False,
            "null": lambda: None,
        }
        if not isinstance(kind, str) or kind not in builders:
            raise _cannot(f"the schema type {kind!r}")
        return builders[kind]()

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        value = {name: self.build(properties.get(name, others), depth + 1) for name in schema.get("required", ())}
        spare = _spare_names(properties, others, value)
        while len(value) < schema.get("minProperties", 0):
            name = next(spare, None)
            if name is None:
                raise _cannot("minProperties beyond the known properties")
            value[name] = self.build(properties.get(name, others), depth + 1)
        return value

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        prefix, items = schema.get("prefixItems", []), schema.get("items", True)
        count = schema.get("minItems", 0)
        if count > 1 and schema.get("uniqueItems"):
            raise _cannot("uniqueItems with more than one item")
        return [self.build(prefix[i] if i < len(prefix) else items, depth + 1) for i in range(min(count, MAX_VALUES))]


def _spare_names(properties: dict[str, Any], others: Any, used: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in properties if name not in used)
    if others is not False:
        yield from (name for i in range(1, MAX_VALUES) if (name := f"key{i}") not in used)


def _merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = {**left, **right}
    for key in ("properties", "$defs"):
        if key in left and key in right:
            merged[key] = {**left[key], **right[key]}
    if "required" in left and "required" in right:
        merged["required"] = list(dict.fromkeys([*left["required"], *right["required"]]))
    return merged


def _number(schema: dict[str, Any], *, whole: bool) -> int | float:
    low = schema.get("minimum", -math.inf)
    high = schema.get("maximum", math.inf)
    step = schema.get("multipleOf", 1 if whole else 0)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    nearest = 0 if low <= 0 and above < 0 else max(low, above)
    if step:
        candidates = [math.ceil(nearest / step) * step, (math.floor(nearest / step) + 1) * step]
    else:
        candidates = [nearest, nearest + 1, (nearest + min(high, below)) / 2]
    candidates += [high, below - (step or 1)]
    for value in candidates:
        fits = low <= value <= high and above < value < below and math.isfinite(value)
        if fits and (not step or math.isclose(value / step, round(value / step))):
            return int(value) if float(value).is_integer() else value
    raise _cannot("bounds on a number that leave no value, or none that is easy to find")


def _string(schema: dict[str, Any]) -> str:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    pattern = schema.get("pattern")
    if pattern is not None:
        return _matching(pattern, shortest, longest)
    text = _FORMATS.get(schema.get("format", ""), "")
    if len(text) < shortest:
        text = text.ljust(min(shortest, MAX_VALUES), "a")
    if not shortest <= len(text) <= longest:
        raise _cannot("these lengths of a string")
    return text


def _matching(pattern: str, shortest: int, longest: float) -> str:
    """Tries a few short texts. Patterns on which Python's backtracking could explode are not tried."""
    if len(pattern) <= 200 and len(_QUANTIFIER.findall(pattern)) <= 6 and not _QUANTIFIED_GROUP.search(pattern):
        try:
            expression = re.compile(pattern)
        except (re.error, RecursionError, OverflowError):
            raise _cannot(f"the pattern {pattern!r}") from None
        for text in _CANDIDATES:
            if shortest <= len(text) <= longest and expression.search(text):
                return text
    raise _cannot(f"the pattern {pattern!r}")


def _cannot(what: str) -> Unsupported:
    return Unsupported(f"in the echo engine, {what}", "Script the reply instead.")
