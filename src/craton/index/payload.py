"""Metadata and access lists as a Qdrant payload, and filters as Qdrant's conditions (the JSON of its REST API).

Qdrant's own comparisons are not those of `matching`: they know no order of strings, and reach a number through text. So
everything is kept in forms that it compares exactly:

t  the tenant
a  who may see it        "*", or "u" and a user's name for each of the access list
x  who may not           as in `a`
m  tokens                one for each key and value, or key and list member: equality, indexed
r  blocks                strings and numbers as bytes that sort alike, six to a number: order and prefixes
s  strings and members   for substrings

Keys become hex, for Qdrant's paths give dots and brackets a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from craton.core.knowledge import AllOf, Compare, Filter, Metadata, MetadataValue, Scalar
from craton.index.matching import Kind, kind
from craton.index.ordering import sortable
from craton.index.protocol import Point, Search

INDEXED = ("t", "a", "x", "m")  # all keywords
EVERYBODY = "*"

_BLOCK = 6  # bytes: with an end mark 257 ** 6 values, which a float holds exactly
_NEVER: dict[str, Any] = {"has_id": []}

Condition = dict[str, Any]


def payload(point: Point, tenant: str) -> dict[str, Any]:
    built: dict[str, Any] = {
        "t": tenant,
        "a": [f"u{user}" for user in point.access.allow] or [EVERYBODY],
    }
    if point.access.deny:
        built["x"] = [f"u{user}" for user in point.access.deny]
    if point.metadata:
        built |= _metadata(point.metadata)
    return built


def _metadata(metadata: Metadata) -> dict[str, Any]:
    tokens: list[str] = []
    blocks: dict[str, dict[str, int]] = {}
    strings: dict[str, list[str]] = {}
    for key, value in metadata.items():
        name, sort = _name(key), kind(value)
        tokens.append(_present(sort, key))
        if isinstance(value, (tuple, list)):
            strings[name] = list(value)
            tokens.extend(_token("l", key, member) for member in value)
            continue
        if (token := _value_token(key, value)) is not None:
            tokens.append(token)
        if isinstance(value, str):
            strings[name] = [value]
        if not isinstance(value, bool) and (ordered := sortable(value)) is not None:
            blocks[f"{sort}{name}"] = {f"b{i}": block for i, block in enumerate(_blocks(ordered))}
    return {"m": tokens, "r": blocks, "s": strings}


# --- conditions ----------------------------------------------------------------------------------------------


def conditions(search: Search, *, tenant: bool = True, access: bool = True) -> Condition:
    """What a point must be for this search: the tenant's, visible to the user, and matched by the filter.

    False leaves one out, where every point is known to pass it: each condition costs about as much as the search.
    """
    must: list[Condition] = [_is("t", search.tenant)] if tenant else []
    if search.filter is not None:
        must.append(_condition(search.filter))
    if not access:
        return {"must": must}
    if search.user:
        must.append({"key": "a", "match": {"any": [EVERYBODY, f"u{search.user}"]}})
    else:
        must.append(_is("a", EVERYBODY))
    return {"must": must, "must_not": [_is("x", f"u{search.user}")]}


def _condition(wanted: Filter) -> Condition:
    if isinstance(wanted, Compare):
        return _compare(wanted)
    inner = [_condition(one) for one in wanted.filters]
    if isinstance(wanted, AllOf):
        return {"must": inner}
    return {"should": inner} if inner else _NEVER


def _compare(wanted: Compare) -> Condition:
    key, value = wanted.key, wanted.value
    match wanted.operator:
        case "equals":
            return _any(key, (value,))
        case "notEquals":
            return {"must_not": [_any(key, (value,))]}
        case "in":
            return _any(key, value if isinstance(value, tuple) else ())
        case "notIn":
            return {"must_not": [_any(key, value if isinstance(value, tuple) else ())]}
        case "startsWith":
            return _prefix(key, value) if isinstance(value, str) else _NEVER
        case "stringContains":
            return _contains(key, value) if isinstance(value, str) else _NEVER
        case "listContains":
            return _is("m", _token("l", key, value)) if isinstance(value, str) else _NEVER
        case _:
            return _range(wanted.operator, key, value)


def _any(key: str, values: Sequence[Scalar | tuple[Scalar, ...]]) -> Condition:
    tokens = dict.fromkeys(token for value in values if (token := _value_token(key, value)) is not None)
    return {"key": "m", "match": {"any": list(tokens)}} if tokens else _NEVER


def _prefix(key: str, prefix: str) -> Condition:
    data = prefix.encode()
    full, rest = divmod(len(data), _BLOCK)
    path = f"r.s{_name(key)}"
    must = [_is("m", _present("s", key))]
    must += [_equal(f"{path}.b{i}", block) for i, block in enumerate(list(_blocks(data))[:full])]
    if rest:
        tail = data[full * _BLOCK :]
        lowest = _number(tail)
        must.append(_between(f"{path}.b{full}", gte=lowest, lt=lowest + 257 ** (_BLOCK - rest)))
    return {"must": must}


def _contains(key: str, part: str) -> Condition:
    strings = f"s.{_name(key)}"
    if not part:  # is in every string, but a list may have none
        return {"must_not": [{"is_empty": {"key": strings}}]}
    # On a field without a text index, Qdrant's "text" is a plain substring.
    inside = {"key": f"{strings}[]", "match": {"text": part}}
    return {"must": [{"key": "m", "match": {"any": [_present("s", key), _present("l", key)]}}, inside]}


def _range(operator: str, key: str, value: Scalar | tuple[Scalar, ...]) -> Condition:
    """Block by block: all before are equal and this one is greater (less); or all are equal, where that counts."""
    if isinstance(value, (bool, tuple)) or (ordered := sortable(value)) is None:
        return _NEVER
    side = "gt" if operator.startswith("greater") else "lt"
    sort = kind(value)
    blocks = list(_blocks(ordered))
    path = f"r.{sort}{_name(key)}"
    equal = [_equal(f"{path}.b{i}", block) for i, block in enumerate(blocks)]
    should: list[Condition] = [
        {"must": [*equal[:i], _between(f"{path}.b{i}", **{side: block})]} for i, block in enumerate(blocks)
    ]
    if operator.endswith("OrEquals"):
        should.append({"must": equal})
    return {"must": [_is("m", _present(sort, key)), {"should": should}]}


def _is(path: str, value: str) -> Condition:
    return {"key": path, "match": {"value": value}}


def _equal(path: str, block: int) -> Condition:
    return _between(path, gte=block, lte=block)


def _between(path: str, **bounds: int) -> Condition:
    return {"key": path, "range": bounds}


# --- forms ----------------------------------------------------------------------------------------------------


def _name(key: str) -> str:
    return "k" + key.encode().hex()


def _present(sort: Kind | None, key: str) -> str:
    return f"?{sort}{key}"


def _token(sort: str, key: str, value: str) -> str:
    return f"={sort}{len(key)}:{key}{value}"


def _value_token(key: str, value: MetadataValue | tuple[Scalar, ...]) -> str | None:
    """None for what equals nothing: lists and NaN."""
    if isinstance(value, bool):
        return _token("b", key, str(value))
    if isinstance(value, str):
        return _token("s", key, value)
    if isinstance(value, (tuple, list)) or (ordered := sortable(value)) is None:
        return None
    return _token("n", key, ordered.hex())


def _blocks(data: bytes) -> Iterator[int]:
    """Every sequence ends with a block that is not full, so none is the beginning of another."""
    return (_number(data[start : start + _BLOCK]) for start in range(0, len(data) + 1, _BLOCK))


def _number(data: bytes) -> int:
    number = 0
    for place in range(_BLOCK):
        number = number * 257 + (data[place] + 1 if place < len(data) else 0)
    return number
