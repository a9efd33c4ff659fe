"""Include and exclude patterns over keys, matched in time that no pattern can blow up.

"*" and "?" stay within one part of a path, "**" stands for any number of parts, "[...]" for one character of a set.
A pattern without "/" is held against the last part: "*.pdf" takes every PDF, however deep.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence


class Globs:
    """Nothing included means everything is; exclude wins."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = [_Glob(pattern) for pattern in include]
        self._exclude = [_Glob(pattern) for pattern in exclude]

    def admits(self, key: str) -> bool:
        parts = key.split("/")
        wanted = not self._include or any(glob.matches(parts) for glob in self._include)
        return wanted and not any(glob.matches(parts) for glob in self._exclude)


class _Glob:
    """The parts of a pattern: None for "**", otherwise an expression for one part of a path.

    `fnmatch.translate` writes atomic groups between the stars, so one part is matched without backtracking.
    """

    def __init__(self, pattern: str) -> None:
        anchored = pattern if "/" in pattern else f"**/{pattern}"
        names = anchored.removeprefix("/").split("/")
        if names[-1] == "":  # "folder/" takes what lies below it
            names[-1] = "**"
        self._parts = [None if name == "**" else re.compile(fnmatch.translate(name)) for name in names]

    def matches(self, path: Sequence[str]) -> bool:
        """Which parts of the path may be reached after each part of the pattern: O(parts of one x parts of other)."""
        reached = {0}
        for part in self._parts:
            if part is None:
                reached = set(range(min(reached), len(path) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(path) and part.match(path[at])}
            if not reached:
                return False
        return len(path) in reached
