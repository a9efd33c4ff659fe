"""From text to the terms and weights of BM25: the same for every backend, so that the same text ranks the same.

A term is a word, lower-cased and stemmed as English (other languages' words pass nearly unchanged), or two neighbouring
characters of a script that is written without spaces. Terms are 32-bit numbers; two words that collide are one term.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain, islice
from threading import Lock
from typing import Any

K1 = 1.2
B = 0.75
AVERAGE_TERMS = 128.0  # of a piece: a constant, so that a weight never changes when others come or go
MAX_TERMS = 16_384  # of one text
LONGEST_WORD = 64  # characters; what is longer is cut

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_STOP_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by
can could did do does doing don down during each few for from further had has have having he her here hers herself
him himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or
other our ours ourselves out over own s same she should so some such t than that the their theirs them themselves
then there these they this those through to too under until up very was we were what when where which while who whom
why will with would you your yours yourself yourselves
"""
_STOP = frozenset(_STOP_WORDS.split())


def document_terms(text: str) -> dict[int, float]:
    """Term -> its weight: the saturated frequency, without the rarity that only the whole index knows."""
    counts = Counter(_terms(text))
    norm = K1 * (1 - B + B * counts.total() / AVERAGE_TERMS)
    return {term: count * (K1 + 1) / (count + norm) for term, count in counts.items()}


def query_terms(text: str) -> list[int]:
    """Each term once, in order of appearance. Empty when nothing can be searched for."""
    return list(dict.fromkeys(_terms(text)))


def terms_of(words: Iterable[str]) -> dict[str, int]:
    """Each word that can be searched for, with its term. words: as `words` gives them, any number of times each."""
    return {word: _term(word[:LONGEST_WORD]) for word in words if word not in _STOP}


def words(text: str) -> list[str]:
    """The words of a text as they are looked at: lower-cased, in order. Most texts are ASCII, where the slow part
    (other spellings of the same character, scripts without spaces) has nothing to do."""
    if text.isascii():
        return _WORD.findall(text.lower())
    found = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return list(chain.from_iterable(map(_parts, found)))


def _terms(text: str) -> Iterator[int]:
    searched = (word for word in words(text) if word not in _STOP)
    return (_term(word[:LONGEST_WORD]) for word in islice(searched, MAX_TERMS))


def _parts(word: str) -> Iterator[str]:
    """The word itself, or its parts: "iPhone用" is a word and a character; "東京都" is two pairs."""
    if word.isascii():
        yield word
        return
    last = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > last:
            yield word[last : run.start()]
        characters = run[0]
        yield from (characters[i : i + 2] for i in range(max(1, len(characters) - 1)))
        last = run.end()
    if last < len(word):
        yield word[last:]


@lru_cache(maxsize=65_536)
def _term(word: str) -> int:
    with _stemming:
        return zlib.crc32(_stemmer().stemWord(word).encode())


@cache
def _stemmer() -> Any:
    import Stemmer  # Snowball's own C code: only when it is needed

    return Stemmer.Stemmer("english", 0)  # `_term` remembers words already


_stemming = Lock()  # a stemmer keeps the word that it is at in itself
