"""Columns as a dataset's card declares them (YAML), in the Hub's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from craton.data.viewing.values import Feature

MAX_DEPTH = 30
_LISTS = {"list": "List", "sequence": "List", "large_list": "LargeList"}
_VALUES = (
    *("null", "bool", "string", "large_string", "binary", "large_binary", "date32", "date64", "json"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "double", "float"),
)
_FAMILIES = ("timestamp[", "duration[", "time32[", "time64[", "decimal128(", "decimal256(")


def declared_features(card: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Feature]:
    """Of a configuration; {} when the card says nothing, or nothing that can be understood: the files say it then."""
    listed = config.get("features")
    infos = card.get("dataset_info")
    for info in infos if isinstance(infos, list) else [infos]:
        if listed is None and isinstance(info, dict) and info.get("config_name", "default") == config["config_name"]:
            listed = info.get("features")
    try:
        found = _fields(listed, 0) if isinstance(listed, list) else {}
    except _Unclear:
        return {}
    return found


class _Unclear(Exception):
    """Not what a card may say."""


def _fields(listed: Any, depth: int) -> dict[str, Feature]:
    if not isinstance(listed, list) or depth > MAX_DEPTH:
        raise _Unclear
    found: dict[str, Feature] = {}
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise _Unclear
        found[one["name"]] = _feature({key: value for key, value in one.items() if key != "name"}, depth + 1)
    return found


def _feature(said: Any, depth: int) -> Feature:
    if isinstance(said, list):
        return _fields(said, depth)
    if not isinstance(said, dict) or not said or depth > MAX_DEPTH:
        raise _Unclear
    kind = next((key for key in (*_LISTS, "struct", "dtype") if key in said), next(iter(said)))
    inner, rest = said[kind], {key: value for key, value in said.items() if key != kind}
    if kind in _LISTS:
        of = _feature({"dtype": inner} if isinstance(inner, str) else inner, depth + 1)
        if kind == "sequence" and isinstance(inner, list) and isinstance(of, dict):
            return {name: {"feature": each, **rest, "_type": "List"} for name, each in of.items()}
        return {"feature": of, **rest, "_type": _LISTS[kind]}
    if kind == "struct":
        return _fields(inner, depth + 1)
    if kind == "dtype" and isinstance(inner, str):
        if inner in _VALUES or inner.startswith(_FAMILIES):
            return {"dtype": inner, "_type": "Value"}
        return {"_type": _camel(inner)}
    if kind == "dtype":
        return _feature(inner, depth + 1)
    if not isinstance(inner, dict):
        raise _Unclear
    return {"_type": _camel(kind), **_numbered(inner)}


def _numbered(inner: dict[str, Any]) -> dict[str, Any]:
    """A class label's names are written as {'0': first, '1': second}."""
    names = inner.get("names")
    if not isinstance(names, dict):
        return inner
    try:
        ordered = [str(names[key]) for key in sorted(names, key=int)]
    except ValueError:
        raise _Unclear from None
    return {**inner, "names": ordered}


def _camel(name: str) -> str:
    return "".join(piece[:1].upper() + piece[1:] for piece in name.split("_"))
