"""File names by pattern, as the Hub's dataset cards write them: `*` stays within a folder, `**` does not.

Patterns come from strangers, so no regular expressions: matching steps back to the last star alone and never takes more
than (length of the pattern) x (length of the path) steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

MAX_PATTERN = 1000  # characters

_Step = Callable[[str], bool]
P = TypeVar("P")
T = TypeVar("T")


class Glob:
    """Hidden files, and folders whose name begins with "__", match only where the pattern names as many."""

    def __init__(self, pattern: str) -> None:
        parts = [part for part in pattern[:MAX_PATTERN].split("/") if part not in {"", "."}]
        self._hidden, self._special = _hidden(parts), _special(parts)
        self._parts: list[list[_Step | None] | None] = [None if part == "**" else _steps(part) for part in parts]

    def matches(self, path: str) -> bool:
        parts = path.split("/")
        if _hidden(parts) != self._hidden or _special(parts) != self._special:
            return False
        return _match(self._parts, parts, lambda steps, part: _match(steps, part, lambda step, letter: step(letter)))


def _hidden(parts: Sequence[str]) -> int:
    return sum(part.startswith(".") for part in parts)


def _special(parts: Sequence[str]) -> int:
    return sum(part.startswith("__") for part in parts[:-1])


def _match(pattern: Sequence[P | None], items: Sequence[T], fits: Callable[[P, T], bool]) -> bool:
    """None in the pattern stands for any number of items."""
    at = mark = item = 0
    star = -1
    while item < len(items):
        step = pattern[at] if at < len(pattern) else None
        if at < len(pattern) and step is None:
            star, mark = at, item
            at += 1
        elif step is not None and fits(step, items[item]):
            at, item = at + 1, item + 1
        elif star >= 0:
            mark += 1
            at, item = star + 1, mark
        else:
            return False
    return all(step is None for step in pattern[at:])


def _steps(part: str) -> list[_Step | None]:
    steps: list[_Step | None] = []
    at = 0
    while at < len(part):
        letter = part[at]
        end = part.find("]", at + 2) if letter == "[" else -1
        if letter == "*":
            if not steps or steps[-1] is not None:
                steps.append(None)
        elif letter == "?":
            steps.append(lambda _: True)
        elif end > 0:
            steps.append(_among(part[at + 1 : end]))
            at = end
        else:
            steps.append(letter.__eq__)
        at += 1
    return steps


def _among(inside: str) -> _Step:
    """[abc], [a-c], [!abc]."""
    negative = inside.startswith(("!", "^"))
    inside = inside[negative:]
    letters, ranges, at = set(), [], 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            ranges.append((inside[at], inside[at + 2]))
            at += 3
        else:
            letters.add(inside[at])
            at += 1
    return lambda letter: (letter in letters or any(low <= letter <= high for low, high in ranges)) != negative
