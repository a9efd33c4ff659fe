"""robots.txt as RFC 9309 says: groups by agent, the longest match wins, "*" and "$" in paths.

The standard library's parser takes the first match and knows no wildcards, so it would read what a site forbids.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

from craton.data.sources.urls import respell

MAX_BYTES = 500 * 1024  # what the RFC asks a crawler to read
MAX_RULES = 10_000
MAX_PATTERN = 2048
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?")


class _Rule(Struct, frozen=True):
    length: int
    allow: bool
    pattern: re.Pattern[str]


class Robots(Struct, frozen=True):
    """What one host says to one agent. delay: seconds between two requests, 0 when it names none."""

    rules: tuple[_Rule, ...] = ()
    delay: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, url: str) -> bool:
        """url: absolute. Of equally long rules the one that allows wins."""
        parts = urlsplit(url)
        target = respell(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        if parts.path == "/robots.txt":
            return True
        matching = [(rule.length, rule.allow) for rule in self.rules if rule.pattern.match(target)]
        return max(matching, default=(0, True))[1]


def read_robots(data: bytes, agent: str) -> Robots:
    """agent: its product name ("craton"), compared without case; "*" speaks to whoever is not named."""
    own: list[tuple[str, str]] = []
    everyone: list[tuple[str, str]] = []
    named = False
    sitemaps: list[str] = []
    speaking: set[str] = set()
    in_head = False
    for line in data[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff").splitlines():
        name, separator, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not separator:
            continue
        if name == "sitemap":
            sitemaps.append(line.partition(":")[2].strip()[:MAX_PATTERN])
        elif name == "user-agent":
            speaking = {*speaking, value.lower()} if in_head else {value.lower()}
            in_head = True
            named = named or agent.lower() in speaking
        elif name in {"allow", "disallow", "crawl-delay"}:
            in_head = False
            if agent.lower() in speaking:
                own.append((name, value))
            if "*" in speaking:
                everyone.append((name, value))
    chosen = own if named else everyone
    rules = [_rule(name == "allow", value) for name, value in chosen[:MAX_RULES] if name != "crawl-delay" and value]
    delays = [float(value) for name, value in chosen if name == "crawl-delay" and _SECONDS.fullmatch(value)]
    return Robots(tuple(rules), max(delays, default=0.0), tuple(sitemaps[:50]))


def _rule(allow: bool, path: str) -> _Rule:
    """Between the stars the groups are atomic: the first place where a piece fits is as good as any, so matching never
    goes back."""
    path = respell(path[:MAX_PATTERN])
    ends = path.endswith("$")
    first, *pieces = re.split(r"\*+", path.removesuffix("$"))
    expression = re.escape(first)
    for number, piece in enumerate(pieces):
        if number == len(pieces) - 1 and ends:
            expression += rf".*{re.escape(piece)}"  # greedy: it has to be the last place
        elif piece:
            expression += rf"(?>.*?{re.escape(piece)})"
    return _Rule(len(path), allow, re.compile(expression + (r"\Z" if ends else ""), re.DOTALL))
