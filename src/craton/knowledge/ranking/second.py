"""The second look: the first results of both legs held against the question once more, sentence by sentence.

A chunk's words may answer a question each in another sentence; an answer has them in one. So the first results are
given a score of half what they had, and half the mean of the chunk's cosine and of how much of the question its best
sentence covers, words weighed by their rarity among just these results. Nothing is fitted to a collection, and no
model runs.

Measured in `python -m bench retrieval` (nDCG@10, in which the settings were chosen on SciFact's training questions
alone): better there, on its test questions, on this project's own words and on SQuAD's paragraphs. Around these
settings the gain is flat; with the words of whole chunks instead of the best sentence's it is smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from craton.data.chunking.sentences import sentence_spans
from craton.index.analysis import query_terms

LOOKED = 20
"""Results that are looked at."""

SHARE = 0.5


def covered(query: str, texts: Sequence[str]) -> list[float]:
    """0 to 1 for each text: the largest part of the query's terms that stands in one of its sentences. A term counts by
    its rarity among the texts, as in BM25."""
    terms = query_terms(query)
    sentences = [[set(query_terms(text[start:end])) for start, end in sentence_spans(text)] for text in texts]
    weights: dict[int, float] = {}
    for term in terms:
        having = sum(any(term in sentence for sentence in text) for text in sentences)
        weights[term] = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
    whole = sum(weights.values())
    if not whole:
        return [0.0] * len(texts)
    return [
        min(
            max((sum(weights[term] for term in terms if term in sentence) for sentence in text), default=0.0) / whole,
            1.0,
        )
        for text in sentences
    ]


def looked_at(score: float, cosine: float, covered: float) -> float:
    """What a result has after the look. All lie between 0 and 1."""
    return (1 - SHARE) * score + SHARE * (cosine + covered) / 2


def passed_over(score: float) -> float:
    """What a result has that came after those: never more than one that was looked at and had as much before."""
    return (1 - SHARE) * score
