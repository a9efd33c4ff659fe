"""Texts of a CSV as the values of their column. What cannot be one stays a text, which the model's check refuses by its
row and column."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from craton.core.errors import InvalidRequest
from craton.core.predicting import Field
from craton.wire.http import decode_json

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def typed(field: Field, column: list[str]) -> list[Any]:
    if field.kind == "number" and "" not in column:
        try:
            found = list(map(float, column))
        except ValueError:
            pass
        else:
            if all(map(math.isfinite, found)):
                return found
    return list(map(_reader(field), column))


def _reader(field: Field) -> Callable[[str], Any]:
    if field.kind == "category":
        known = {_plain(category): category for category in field.categories}
        numbers = any(type(category) is int for category in field.categories)
        return lambda text: _category(text, known, numbers)
    if field.kind in {"vector", "image"}:
        return _vector
    if field.kind == "text":
        return str
    return {"number": _number, "integer": _integer, "boolean": _boolean}.get(field.kind, _time)


def _number(text: str) -> Any:
    text = text.strip()
    if text in {"", "nan", "NaN", "NA", "null"}:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _integer(text: str) -> Any:
    stripped = text.strip()
    return int(stripped) if stripped.removeprefix("-").isdecimal() and len(stripped) < 19 else _number(text)


def _boolean(text: str) -> Any:
    text = text.strip()
    return None if not text else _BOOLEANS.get(text.lower(), text)


def _time(text: str) -> Any:
    return text.strip() or None


def _category(text: str, known: dict[str, Any], numbers: bool) -> Any:
    for spelling in (text, text.strip(), text.strip().lower()):
        if spelling in known:
            return known[spelling]
    if not text:
        return None
    return _integer(text) if numbers else text


def _vector(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return decode_json(text.encode())
    except InvalidRequest:
        return text


def _plain(category: str | int | bool) -> str:
    return str(category).lower() if isinstance(category, bool) else str(category)
