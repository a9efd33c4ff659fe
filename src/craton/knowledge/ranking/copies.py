"""Recognising texts that say the same thing in the same words: copies, mirrors, boilerplate with another date.

Two texts are near-copies when their sets of five-word shingles overlap by nine tenths (Broder, 1997); the overlap is
estimated from the smallest hashes of each set, so that long texts cost no more than short ones. Neighbouring chunks
share a fifth of their words at the most and are far from it.
"""

from __future__ import annotations

import re
import zlib
from functools import cached_property

SHINGLE = 5  # words
SKETCH = 96  # hashes kept of a text
SAME = 0.9  # of the shingles

_WORD = re.compile(r"\w+")


class _Shown:
    """A text that was shown: its words, and the sketch of its shingles once a text came that may be its copy."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words, self.distinct = words, frozenset(words)

    @cached_property
    def sketch(self) -> frozenset[int]:
        return _sketch(self.words)

    def copies(self, other: _Shown) -> bool:
        """A word that only one of them has makes a shingle that only it has: with too many such words, no shingle
        needs to be made."""
        if len(self.distinct ^ other.distinct) > (1 - SAME) * (len(self.words) + len(other.words)):
            return False
        return _overlap(self.sketch, other.sketch) >= SAME


class Copies:
    """Remembers the texts that it was shown."""

    def __init__(self) -> None:
        self._exact: set[tuple[str, ...]] = set()
        self._shown: list[_Shown] = []

    def seen(self, text: str) -> bool:
        """Whether it is a near-copy of one that was shown before; remembers it when not. Case, white space and
        punctuation do not count. A text without a word is no copy of anything."""
        words = tuple(_WORD.findall(text.casefold()))
        if not words:
            return False
        if words in self._exact:
            return True
        one = _Shown(words)
        if len(words) >= 4 * SHINGLE and any(one.copies(other) for other in self._shown):
            return True
        self._exact.add(words)
        self._shown.append(one)
        return False


def _sketch(words: tuple[str, ...]) -> frozenset[int]:
    """The smallest hashes of all shingles: a sample that is the same for the same shingles."""
    shingles = {" ".join(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}
    return frozenset(sorted(zlib.crc32(shingle.encode("utf-8", "surrogatepass")) for shingle in shingles)[:SKETCH])


def _overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard's coefficient, estimated: how many of the smallest hashes of both together are in both."""
    smallest = sorted(one | other)[: max(len(one), len(other))]
    return sum(hash_ in one and hash_ in other for hash_ in smallest) / len(smallest)
