"""Searches' walls and filters as SQL, exactly as `index.matching` has them.

Metadata lie in rows (point, key, sort, value), a list's members in a row each. Keys are digests and values are bytes
that sort as they should: no collation has a say, nothing is too long for an index, a NUL is a character like others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from craton.core.knowledge import AllOf, Compare, Filter, Metadata, Scalar
from craton.index.matching import kind
from craton.index.ordering import sortable
from craton.index.protocol import Search

HEAD = 64  # bytes of a value that its index holds

Clause = tuple[str, list[object]]  # SQL with %s, and its parameters
Row = tuple[bytes, str, bytes]  # key, sort, value

_TRUE: Clause = ("TRUE", [])
_FALSE: Clause = ("FALSE", [])
_ORDER = {"greaterThan": ">", "greaterThanOrEquals": ">=", "lessThan": "<", "lessThanOrEquals": "<="}


def rows(metadata: Metadata) -> Iterator[Row]:
    for key, value in metadata.items():
        if isinstance(value, (tuple, list)):
            yield from ((_key(key), "l", member.encode()) for member in value)
        elif (data := _data(value)) is not None:
            yield _key(key), str(kind(value)), data


def walls(search: Search, fields: str) -> Clause:
    """A condition on `p`, a row of points. fields: the table of their metadata."""
    user = search.user.encode()
    allowed = "(p.allow = '{}' OR %s = ANY (p.allow))" if user else "p.allow = '{}'"
    condition = f"p.tenant = %s AND {allowed} AND NOT %s = ANY (p.deny)"
    parameters: list[object] = [search.tenant.encode(), *([user] if user else []), user]
    if search.filter is None:
        return condition, parameters
    filtered, more = _condition(search.filter, fields)
    return f"{condition} AND {filtered}", parameters + more


def _condition(wanted: Filter, fields: str) -> Clause:
    if isinstance(wanted, Compare):
        return _compare(wanted, fields)
    inner = [_condition(one, fields) for one in wanted.filters]
    if not inner:
        return _TRUE if isinstance(wanted, AllOf) else _FALSE
    joined = (" AND " if isinstance(wanted, AllOf) else " OR ").join(sql for sql, _ in inner)
    return f"({joined})", [parameter for _, parameters in inner for parameter in parameters]


def _compare(wanted: Compare, fields: str) -> Clause:
    value = wanted.value
    match wanted.operator:
        case "equals":
            return _any(fields, wanted.key, (value,))
        case "notEquals":
            return _not(_any(fields, wanted.key, (value,)))
        case "in":
            return _any(fields, wanted.key, value if isinstance(value, tuple) else ())
        case "notIn":
            return _not(_any(fields, wanted.key, value if isinstance(value, tuple) else ()))
        case "startsWith" if isinstance(value, str):
            prefix = value.encode()
            return _exists(fields, wanted.key, "f.sort = 's' AND substring(f.value FOR %s) = %s", [len(prefix), prefix])
        case "stringContains" if isinstance(value, str):
            return _exists(fields, wanted.key, "f.sort IN ('s', 'l') AND position(%s IN f.value) > 0", [value.encode()])
        case "listContains" if isinstance(value, str):
            return _exists(fields, wanted.key, *_equal("l", value.encode()))
        case "greaterThan" | "greaterThanOrEquals" | "lessThan" | "lessThanOrEquals" if not isinstance(value, bool):
            if (data := _data(value)) is None:
                return _FALSE
            order = _ORDER[wanted.operator]
            return _exists(fields, wanted.key, f"f.sort = %s AND f.value {order} %s", [str(kind(value)), data])
    return _FALSE


def _any(fields: str, key: str, values: Sequence[Scalar | tuple[Scalar, ...]]) -> Clause:
    equal = [_equal(str(kind(value)), data) for value in values if (data := _data(value)) is not None]
    if not equal:
        return _FALSE
    condition = " OR ".join(f"({sql})" for sql, _ in equal)
    return _exists(fields, key, f"({condition})", [parameter for _, parameters in equal for parameter in parameters])


def _equal(sort: str, data: bytes) -> Clause:
    return f"f.sort = %s AND substring(f.value FOR {HEAD}) = %s AND f.value = %s", [sort, data[:HEAD], data]


def _exists(fields: str, key: str, condition: str, parameters: list[object]) -> Clause:
    found = f"EXISTS (SELECT FROM {fields} f WHERE f.id = p.id AND f.key = %s AND {condition})"
    return found, [_key(key), *parameters]


def _not(clause: Clause) -> Clause:
    return f"NOT {clause[0]}", clause[1]


def _key(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()[:16]


def _data(value: Scalar | tuple[Scalar, ...] | tuple[str, ...]) -> bytes | None:
    """None for what equals nothing: lists and NaN."""
    if isinstance(value, (tuple, list)):
        return None
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    return sortable(value)
