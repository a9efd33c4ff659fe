"""Git's patterns for paths, as .gitignore and .gitattributes hold them, over names in a table.

Source: gitignore(5), "Pattern format", and gitattributes(5). A file comes from whoever may commit, so its patterns are
matched without backtracking: part by part, and each part by an expression whose groups are atomic.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

MAX_BYTES = 256 * 1024  # of one file
MAX_PATTERNS = 2000
MAX_PATTERN = 512  # characters; longer ones match nothing
_ESCAPED = re.compile(r"\\(.)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_Part = Callable[[str], object]


class Pattern(Struct, frozen=True):
    """parts: tests of the path's parts, one after the other; None stands for any number of them.

    folder: only folders match.
    """

    parts: tuple[_Part | None, ...]
    folder: bool

    def matches(self, parts: Sequence[str]) -> bool:
        """As a wildcard over parts: the last "any number" is the only one worth going back to."""
        tests, at, part, star, mark = self.parts, 0, 0, -1, 0
        while part < len(parts):
            test = tests[at] if at < len(tests) else _nothing
            if test is None:
                star, mark, at = at, part, at + 1
            elif test(parts[part]):
                at, part = at + 1, part + 1
            elif star >= 0:
                mark += 1
                at, part = star + 1, mark
            else:
                return False
        return all(test is None for test in tests[at:])


def read_pattern(text: str) -> Pattern | None:
    """None for one that can match nothing."""
    if not text.strip("/") or len(text) > MAX_PATTERN:
        return None
    folder = text.endswith("/")
    segments = text.rstrip("/").split("/")
    if segments[0] == "":
        segments = segments[1:]
    elif len(segments) == 1:
        segments = ["**", *segments]  # without a slash: at any depth
    parts = tuple(None if segment == "**" else _part(segment) for segment in segments)
    return Pattern((*parts, _something, None) if parts[-1] is None else parts, folder)


def _part(text: str) -> _Part:
    shell = _ESCAPED.sub(lambda it: f"[{it[1]}]", text).replace("[^", "[!")
    return re.compile(fnmatch.translate(shell)).match


def _nothing(_part: str) -> bool:
    return False


def _something(_part: str) -> bool:
    return True


class Ignored:
    """What a .gitignore says."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[Pattern, bool]] = []
        for line in _lines(text):
            kept = line.startswith("!")
            pattern = read_pattern(line.removeprefix("!"))
            if pattern is not None:
                self._rules.append((pattern, not kept))

    def __contains__(self, path: str) -> bool:
        """Whether the file is left out: itself, or a folder above it, by the last pattern that matches."""
        parts = path.split("/")
        return any(self._says(parts[:depth], depth < len(parts)) for depth in range(1, len(parts) + 1))

    def _says(self, parts: list[str], folder: bool) -> bool:
        found = (ignored for rule, ignored in reversed(self._rules) if rule.folder <= folder and rule.matches(parts))
        return next(found, False)


class Attributes:
    """What a .gitattributes says about Git LFS."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[Pattern, bool]] = []
        for line in _lines(text):
            name, rest = _named(line)
            chosen = [it for it in rest.split() if it.lstrip("-!").partition("=")[0] == "filter"]
            pattern = read_pattern(name) if chosen and not name.endswith("/") else None
            if pattern is not None:
                self._rules.append((pattern, chosen[-1] == "filter=lfs"))

    def large(self, path: str) -> bool | None:
        """Whether the file goes into Git LFS, by the last pattern that matches; None when none does."""
        parts = path.split("/")
        return next((large for rule, large in reversed(self._rules) if rule.matches(parts)), None)


def _lines(text: str) -> Iterator[str]:
    """Those with a pattern in them."""
    for line in text[:MAX_BYTES].split("\n")[:MAX_PATTERNS]:
        bare = line.rstrip("\r")
        kept = bare if bare.endswith("\\ ") else bare.rstrip(" \t")
        if kept and not kept.startswith("#"):
            yield kept


def _named(line: str) -> tuple[str, str]:
    """The pattern, which may stand in quotes, and what follows it."""
    quoted = _QUOTED.match(line)
    if quoted:
        return _ESCAPED.sub(r"\1", quoted[1]), line[quoted.end() :]
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""
