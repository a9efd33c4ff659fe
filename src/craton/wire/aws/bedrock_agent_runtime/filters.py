"""RetrievalFilter, read."""

from __future__ import annotations

from typing import Any, cast, get_args

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.knowledge import AllOf, AnyOf, Compare, Filter, Operator, Scalar

MAX_COMPARISONS = 200
MAX_LISTED = 1000  # values of "in" and "notIn"
_OPERATORS: frozenset[str] = frozenset(get_args(Operator))
_NUMBERS = frozenset({"greaterThan", "greaterThanOrEquals", "lessThan", "lessThanOrEquals"})
_TEXTS = frozenset({"startsWith", "stringContains", "listContains"})


def read_filter(value: Json | None) -> Filter | None:
    """Raises InvalidRequest naming the operator whose value does not suit it, TooLarge for too many comparisons."""
    if value is None:
        return None
    read = _read(value)
    size = _size(read)
    if size > MAX_COMPARISONS:
        raise TooLarge("The filter", MAX_COMPARISONS, size, "comparisons")
    return read


def _read(value: Json) -> Filter:
    if len(value) != 1:
        raise InvalidRequest("must have exactly one operator", "filter")
    ((name, given),) = value.items()
    if name in {"andAll", "orAll"}:
        filters = tuple(_read(each) for each in given)
        return AllOf(filters) if name == "andAll" else AnyOf(filters)
    if name not in _OPERATORS:
        raise InvalidRequest(f"{name} is not an operator", "filter")
    return Compare(cast(Operator, name), given["key"], _value(name, given.get("value")))


def _value(operator: str, value: Any) -> Scalar | tuple[Scalar, ...]:
    if operator in {"in", "notIn"}:
        if not isinstance(value, list) or len(value) > MAX_LISTED:
            raise InvalidRequest(f"{operator} takes a list of at most {MAX_LISTED} values", "filter")
        return tuple(_scalar(operator, each) for each in value)
    scalar = _scalar(operator, value)
    if operator in _NUMBERS and not isinstance(scalar, float):
        raise InvalidRequest(f"{operator} takes a number", "filter")
    if operator in _TEXTS and not isinstance(scalar, str):
        raise InvalidRequest(f"{operator} takes a string", "filter")
    return scalar


def _scalar(operator: str, value: Any) -> Scalar:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) < 2**1023:
        return float(value)
    raise InvalidRequest(f"{operator} takes a string, a number or a boolean", "filter")


def _size(given: Filter) -> int:
    return 1 if isinstance(given, Compare) else 1 + sum(_size(each) for each in given.filters)
