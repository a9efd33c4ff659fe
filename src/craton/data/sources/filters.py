"""Regular expressions over addresses, with a bound on their time: a site chooses the addresses, so it could choose
those on which an innocent expression never ends."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from craton.core.errors import InvalidRequest

SECONDS = 0.25  # for one expression and one address
MAX_REPEATS = 10_000  # {1,100} within {1,100}: they are unrolled
_COUNTED = re.compile(r"\{(\d*),?(\d*)\}")


class Filters:
    """Nothing included means everything is; exclude wins. Raises InvalidRequest for what is no expression."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = [_compile(pattern, "include") for pattern in include]
        self._exclude = [_compile(pattern, "exclude") for pattern in exclude]

    def admits(self, url: str) -> bool:
        """Raises InvalidRequest for an expression that takes too long: what it would have said is not known."""
        wanted = not self._include or any(_found(pattern, url, "include") for pattern in self._include)
        return wanted and not any(_found(pattern, url, "exclude") for pattern in self._exclude)


def _compile(pattern: str, option: str) -> Any:
    import regex  # type: ignore[import-untyped,unused-ignore]  # the standard library's knows no time limit

    counts = (max(int(count or 1) for count in found) for found in _COUNTED.findall(pattern))
    if math.prod(counts) > MAX_REPEATS:
        raise InvalidRequest("an expression repeats too often", f"options.{option}")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InvalidRequest(f"{pattern[:100]!r} is not a regular expression", f"options.{option}") from error


def _found(pattern: Any, url: str, option: str) -> bool:
    try:
        return pattern.search(url, timeout=SECONDS) is not None
    except TimeoutError as error:
        raise InvalidRequest("an expression takes too long", f"options.{option}") from error
