"""How well texts answer a query, seen closely: sentence by sentence, and word by word.

The dense half of a score is the mean of two cosines, of the text's nearest window and of its nearest sentence: a whole
window says what a text is about, one sentence may hold the answer. The lexical half is BM25 over just these texts,
divided by the most that it could give, so that both halves lie between 0 and 1 without looking at the other texts'
scores. Measured in `python -m bench retrieval`; sentences alone, or windows alone, rank worse than both.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from operator import mul

from craton.index.analysis import K1, document_terms, query_terms

DENSE_SHARE = 0.5
SENTENCE_SHARE = 0.5


def lexical(query: str, texts: Sequence[str]) -> list[float]:
    """0 to 1 for each text: BM25 with rarity counted over these texts, as a share of what a text with each of the
    query's words, endlessly often, would get."""
    terms = query_terms(query)
    weights = [document_terms(text) for text in texts]
    rarity: dict[int, float] = {}
    for term in terms:
        having = sum(term in weight for weight in weights)
        rarity[term] = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
    most = (K1 + 1) * sum(rarity.values())
    if not most:
        return [0.0] * len(texts)
    return [min(sum(rarity[term] * weight.get(term, 0.0) for term in terms) / most, 1.0) for weight in weights]


def cosines(query: Sequence[float], vectors: bytes) -> list[float]:
    """Of the query with each row of float32 vectors (little-endian, row-major); all of unit length."""
    flat, width = array("f", vectors), len(query)
    return [float(sum(map(mul, query, flat[start : start + width]))) for start in range(0, len(flat), width)]


def dense(windows: Sequence[float], sentences: Sequence[float]) -> float:
    """0 to 1 from a text's cosines: of its windows and of its sentences. Either may be empty."""
    best = [max(part) for part in (windows, sentences) if part] or [0.0]
    return min(max(best[0] + SENTENCE_SHARE * (best[-1] - best[0]), 0.0), 1.0)


def combined(dense: float, lexical: float) -> float:
    return DENSE_SHARE * dense + (1 - DENSE_SHARE) * lexical
