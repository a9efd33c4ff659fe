"""What a filter means: the plain evaluator that every backend must agree with, and the bounds of a filter."""

from __future__ import annotations

from typing import Literal, cast

from craton.core.errors import InvalidRequest
from craton.core.knowledge import AllOf, AnyOf, Compare, Filter, Metadata, MetadataValue, Scalar
from craton.index.ordering import sortable

MAX_COMPARISONS = 500
MAX_DEPTH = 16

Kind = Literal["s", "n", "b", "l"]


def matches(wanted: Filter | None, metadata: Metadata) -> bool:
    """No filter matches everything; so does an empty AllOf. An empty AnyOf matches nothing."""
    if wanted is None:
        return True
    if isinstance(wanted, AllOf):
        return all(matches(one, metadata) for one in wanted.filters)
    if isinstance(wanted, AnyOf):
        return any(matches(one, metadata) for one in wanted.filters)
    return _compare(wanted, metadata.get(wanted.key))


def kind(value: MetadataValue | tuple[Scalar, ...] | None) -> Kind | None:
    """String, number, boolean or list."""
    if isinstance(value, str):
        return "s"
    if isinstance(value, bool):
        return "b"
    if isinstance(value, (int, float)):
        return "n"
    return None if value is None else "l"


def check_filter(wanted: Filter | None) -> None:
    """Raises InvalidRequest for one with more than MAX_COMPARISONS comparisons or nested deeper than MAX_DEPTH."""
    level = [] if wanted is None else [wanted]
    comparisons = 0
    for _ in range(MAX_DEPTH):
        comparisons += sum(isinstance(one, Compare) for one in level)
        level = [inner for one in level if not isinstance(one, Compare) for inner in one.filters]
        if comparisons + len(level) > MAX_COMPARISONS:
            raise InvalidRequest(f"at most {MAX_COMPARISONS} comparisons are allowed", "filter")
    if level:
        raise InvalidRequest(f"filters may be nested {MAX_DEPTH} deep", "filter")


def _compare(wanted: Compare, value: MetadataValue | None) -> bool:
    given = wanted.value
    match wanted.operator:
        case "equals":
            return _same(value, given)
        case "notEquals":
            return not _same(value, given)
        case "in":
            return isinstance(given, tuple) and any(_same(value, one) for one in given)
        case "notIn":
            return not (isinstance(given, tuple) and any(_same(value, one) for one in given))
        case "startsWith":
            return isinstance(value, str) and isinstance(given, str) and value.startswith(given)
        case "stringContains":
            members = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
            return isinstance(given, str) and any(given in member for member in members)
        case "listContains":
            return isinstance(value, tuple) and isinstance(given, str) and given in value
        case _:
            return _ordered(wanted.operator, value, given)


def _same(value: MetadataValue | None, given: Scalar | tuple[Scalar, ...]) -> bool:
    return kind(value) == kind(given) != "l" and value == given


def _ordered(operator: str, value: MetadataValue | None, given: Scalar | tuple[Scalar, ...]) -> bool:
    """Strings and numbers have an order; booleans and lists have none."""
    if isinstance(value, str) and isinstance(given, str):
        one, other = sortable(value), sortable(given)
    elif kind(value) == kind(given) == "n":
        one, other = sortable(cast("float", value)), sortable(cast("float", given))
    else:
        return False
    if one is None or other is None:
        return False
    match operator:
        case "greaterThan":
            return one > other
        case "greaterThanOrEquals":
            return one >= other
        case "lessThan":
            return one < other
        case _:
            return one <= other
