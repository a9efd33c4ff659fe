"""The small JSON files beside a model's weights, read into what is expected of them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from craton.core.errors import Damaged

_MAX_JSON = 4 << 20
_T = TypeVar("_T")


def optional(files: dict[str, str], name: str, shape: type[_T]) -> _T | None:
    return require(files, name, shape) if name in files else None


def require(files: dict[str, str], name: str, shape: type[_T]) -> _T:
    if name not in files:
        raise Damaged("The model", f"it has no {name}")
    with Path(files[name]).open("rb") as file:
        raw = file.read(_MAX_JSON + 1)
    if len(raw) > _MAX_JSON:
        raise Damaged(name, "it is too large to be a configuration")
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(name, str(error)) from None
