"""Qdrant's conditions, from the JSON of its REST API (see `index.payload`) to the objects of Qdrant Edge."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge


def edge_filter(condition: dict[str, Any]) -> edge.Filter:
    """Of {"must": [...], "should": [...], "must_not": [...]}."""
    must, should, must_not = (
        [_condition(one) for one in condition[clause]] if clause in condition else None
        for clause in ("must", "should", "must_not")
    )
    return edge.Filter(must=must, should=should, must_not=must_not)


def _condition(one: dict[str, Any]) -> Any:
    if "has_id" in one:
        return edge.HasIdCondition(set(one["has_id"]))
    if "is_empty" in one:
        return edge.IsEmptyCondition(one["is_empty"]["key"])
    if "match" in one:
        return edge.FieldCondition(key=one["key"], match=_match(one["match"]))
    if "range" in one:
        return edge.FieldCondition(key=one["key"], range=edge.RangeFloat(**one["range"]))
    return edge_filter(one)


def _match(match: dict[str, Any]) -> Any:
    """Only of strings: Qdrant Edge takes a Python bool for a number."""
    if "value" in match:
        return edge.MatchValue(match["value"])
    if "any" in match:
        return edge.MatchAny(match["any"])
    return edge.MatchSubstring(match["text"])
