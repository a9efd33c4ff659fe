"""Listings in pages: objects and common prefixes, as S3 counts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from craton.buckets.walking import Found


def grouped(found: Iterable[Found], prefix: str, delimiter: str, after: str) -> Iterator[Found]:
    """Files by key, those with the delimiter behind the prefix as their common prefix, once (a Found of no time)."""
    last = ""
    for item in found:
        cut = item.key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            yield item
            continue
        common = item.key[: cut + len(delimiter)]
        if common != last and common > after:
            last = common
            yield Found(common)


def first(found: Iterator[Found], limit: int) -> tuple[list[Found], str]:
    """At most `limit`, and where to go on ("" at the end)."""
    taken = list(islice(found, limit))
    more = bool(taken) and next(found, None) is not None
    return taken, taken[-1].key if more else ""
