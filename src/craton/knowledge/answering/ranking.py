"""Ranking texts in memory: BM25 and cosine, fused. For documents that come with a question and are gone after it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from craton.knowledge.answering.models import Vector, dot
from craton.knowledge.grounding.words import content

K1, B = 1.2, 0.75  # of BM25, as usual
FUSION = 60  # of reciprocal-rank fusion, as usual


class Lexicon:
    """BM25 over texts that are read once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._weights: dict[str, list[tuple[int, float]]] = defaultdict(list)
        counts = [Counter(content(text)) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        average = sum(lengths) / len(lengths) if any(lengths) else 1.0
        for index, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for word, times in count.items():
                self._weights[word].append((index, times / (times + K1 * (1 - B + B * length / average))))
        self._total = len(texts)

    def scores(self, query: str) -> dict[int, float]:
        """Of the texts that share a word with the query."""
        scores: dict[int, float] = defaultdict(float)
        for word in dict.fromkeys(content(query)):
            found = self._weights.get(word, ())
            rarity = math.log(1 + (self._total - len(found) + 0.5) / (len(found) + 0.5))
            for index, weight in found:
                scores[index] += rarity * weight
        return dict(scores)


def best_first(scores: dict[int, float]) -> list[int]:
    return sorted(scores, key=lambda index: (-scores[index], index))


def fuse(query: Vector, vectors: dict[int, Vector], lexical: dict[int, float]) -> list[tuple[int, float]]:
    """(index, score from 0 to 1), best first: reciprocal ranks of both orders added up."""
    dense = best_first({index: dot(query, vector) for index, vector in vectors.items()})
    fused: dict[int, float] = defaultdict(float)
    for order in (dense, best_first(lexical)):
        for rank, index in enumerate(order):
            fused[index] += 1 / (FUSION + 1 + rank)
    most = 2 / (FUSION + 1)
    return [(index, fused[index] / most) for index in best_first(fused)]
