"""Which part of a file is asked for, and whether any: Range, If-Range and If-None-Match (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from craton.core.errors import CratonError

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)


class Unsatisfiable(CratonError):
    """The range lies behind the end of a file of `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"The range lies behind the end of the file, which has {self.size:,} bytes."


def asked_range(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int] | None:
    """Start and end (not included) of one range; None for the whole: also when several are asked for, which is allowed,
    or when the range was asked of another version. Raises Unsatisfiable."""
    match = _RANGE.fullmatch(headers.get("range", ""))
    if match is None or headers.get("if-range", etag).strip() != etag:
        return None
    first, last = match[1], match[2]
    if not first:
        if not last:
            return None
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise Unsatisfiable(size)
    return start, end


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has this version already."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in (it.strip().removeprefix("W/") for it in known.split(","))
