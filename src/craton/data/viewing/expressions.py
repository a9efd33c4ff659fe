"""Conditions that strangers write in SQL: parsed by DuckDB's own parser, and allowed word by word.

A condition is about the columns of one table and nothing else: no other table, no subquery, no function that reads,
writes, or makes much out of little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import msgspec

from craton.core.errors import InvalidRequest

MAX_CONDITION = 4096  # characters
_MAX_NODES = 1000
_CLASSES = frozenset(
    ("COMPARISON", "CONJUNCTION", "OPERATOR", "CONSTANT", "COLUMN_REF", "FUNCTION", "BETWEEN", "CAST", "TYPE", "CASE")
)
_FUNCTIONS = frozenset(
    (
        *("+", "-", "*", "/", "//", "%", "~~", "!~~", "~~*", "!~~*", "||", "like_escape", "not_like_escape"),
        *("abs", "round", "floor", "ceil", "sign", "isnan", "isfinite", "lower", "upper", "trim", "ltrim", "rtrim"),
        *("length", "len", "strlen", "contains", "starts_with", "prefix", "suffix", "ends_with", "strpos", "instr"),
        *("substring", "substr", "left", "right", "regexp_matches", "strip_accents", "list_contains", "array_extract"),
        *("struct_extract", "list_extract", "year", "month", "day", "hour", "minute", "date_trunc", "date_part"),
    )
)
_EMPTY_PARTS = ("modifiers", "group_expressions", "group_sets")
_ABSENT_PARTS = ("having", "sample", "qualify")


def check_condition(where: str, columns: Mapping[str, str]) -> frozenset[str]:
    """The columns that the condition is about. columns: lower case -> as they are written.

    Raises InvalidRequest.
    """
    node = _parse(f"SELECT 1 FROM data WHERE ({where}\n)", "where")
    return frozenset(_checked(node["where_clause"], columns, "where"))


def check_order(order: str, columns: Mapping[str, str]) -> tuple[str, bool]:
    """(column, whether the largest comes first). Raises InvalidRequest for anything but a column, ASC or DESC."""
    node = _parse(f"SELECT 1 FROM data ORDER BY {order}\n", "orderby", modifiers=True)
    modifiers = node["modifiers"]
    orders = modifiers[0].get("orders", []) if len(modifiers) == 1 else []
    if len(orders) != 1 or orders[0]["expression"]["class"] != "COLUMN_REF" or node["where_clause"] is not None:
        raise InvalidRequest("it must be a column, with ASC or DESC", "orderby")
    (column,) = _checked(orders[0]["expression"], columns, "orderby")
    return column, orders[0]["type"] == "DESCENDING"


def _parse(statement: str, field: str, *, modifiers: bool = False) -> dict[str, Any]:
    """The one plain SELECT that the statement is."""
    if len(statement) > MAX_CONDITION:
        raise InvalidRequest(f"it is longer than {MAX_CONDITION:,} characters", field)
    try:
        with duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False}) as connection:
            row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [statement]).fetchone()
        parsed = msgspec.json.decode(row[0] if row else "{}")
    except (duckdb.Error, msgspec.DecodeError, RecursionError, UnicodeError):
        raise InvalidRequest("it cannot be read as SQL", field) from None
    statements = parsed.get("statements", [])
    node = statements[0]["node"] if len(statements) == 1 else {}
    table = node.get("from_table") or {}
    plain = (
        node.get("type") == "SELECT_NODE"
        and table.get("type") == "BASE_TABLE"
        and table.get("qualified_name", {}).get("path") == ["data"]
        and not table.get("alias")
        and not node["cte_map"]["map"]
        and all(not node[part] for part in _EMPTY_PARTS if not (modifiers and part == "modifiers"))
        and all(node[part] is None for part in _ABSENT_PARTS)
    )
    if not plain:
        raise InvalidRequest("it cannot be read as one expression of SQL", field)
    return dict(node)


def _checked(expression: Any, columns: Mapping[str, str], field: str) -> set[str]:
    found = set()
    for number, node in enumerate(_nodes(expression)):
        kind = node["class"]
        if kind not in _CLASSES or number > _MAX_NODES:
            raise InvalidRequest(f"it holds what a condition may not ({str(kind).lower()})", field)
        if kind == "FUNCTION" and (node["function_name"].lower() not in _FUNCTIONS or node.get("schema")):
            raise InvalidRequest(f"the function {node['function_name'][:40]!r} may not be used", field)
        if kind == "COLUMN_REF":
            names = node["column_names"]
            known = names[1:] if names[0].lower() == "data" and len(names) > 1 else names
            column = columns.get(known[0].lower())
            if column is None:
                raise InvalidRequest(f"there is no column {known[0][:80]!r}", field)
            found.add(column)
    return found


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every expression in it."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("class"), str):
                yield node
            waiting += [inner for inner in node.values() if isinstance(inner, dict | list)]
        elif isinstance(node, list):
            waiting += node
