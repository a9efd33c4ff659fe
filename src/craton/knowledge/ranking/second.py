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
from collections.abc import Mapping, Sequence

from craton.data.chunking.sentences import sentence_spans
from craton.index.analysis import query_terms, terms_of, words

LOOKED = 20
"""Results that are looked at."""

SHARE = 0.5


def covered(query: str, texts: Sequence[str]) -> list[float]:
    """0 to 1 for each text: the largest part of the query's terms that stands in one of its sentences. A term counts by
    its rarity among the texts, as in BM25."""
    asked = query_terms(query)
    wanted = set(asked)
    distinct = [set(words(text)) for text in texts]
    terms = terms_of(set().union(*distinct))
    known = {word: term for word, term in terms.items() if term in wanted}
    having = [_having(known, one, text) for one, text in zip(distinct, texts, strict=True)]
    weights = _weights(asked, [set().union(*sentences) for sentences in having])
    whole = sum(weights.values())
    if not whole:
        return [0.0] * len(texts)
    best = (max((sum(map(weights.__getitem__, one)) for one in sentences), default=0.0) for sentences in having)
    return [min(score / whole, 1.0) for score in best]


def _having(known: Mapping[str, int], distinct: set[str], text: str) -> list[set[int]]:
    """Which of the known words' terms stand in each of the text's sentences. Where the sentences begin and end matters,
    and is looked for, only in a text that has two of them."""
    here = known.keys() & distinct
    terms = {known[word] for word in here}
    if len(terms) < 2:
        return [terms]
    return [{known[word] for word in here.intersection(words(text[start:end]))} for start, end in sentence_spans(text)]


def _weights(terms: Sequence[int], texts: Sequence[set[int]]) -> dict[int, float]:
    counts = ((term, sum(term in text for text in texts)) for term in terms)
    return {term: math.log(1 + (len(texts) - having + 0.5) / (having + 0.5)) for term, having in counts}


def looked_at(score: float, cosine: float, covered: float) -> float:
    """What a result has after the look. All lie between 0 and 1."""
    return (1 - SHARE) * score + SHARE * (cosine + covered) / 2


def passed_over(score: float) -> float:
    """What a result has that came after those: never more than one that was looked at and had as much before."""
    return (1 - SHARE) * score
