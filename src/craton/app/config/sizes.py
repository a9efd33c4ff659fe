"""Sizes as people write them."""

from __future__ import annotations

import re

from craton.core.errors import InvalidRequest

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_bytes(text: str, field: str = "size") -> int:
    """ "8GiB", "512 MB", "1073741824" -> bytes (all units are powers of 1024). Raises InvalidRequest."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise InvalidRequest(f"{text!r} is not a size such as 8GiB", field)
    return int(float(match[1]) * _UNITS[match[2]])
