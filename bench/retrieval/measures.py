"""How good an order is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grades = Mapping[int, int]
"""Document -> how relevant it is to one question; absent: not at all."""

Matrix = NDArray[np.floating[Any]]
"""(questions, documents), higher is better."""


def ndcg(order: Sequence[int], grades: Grades, depth: int = 10) -> float:
    """Normalised discounted cumulative gain: grade / log2(1 + rank), over that of the best order there could be."""
    gain = sum(grades.get(int(document), 0) / math.log2(rank + 1) for rank, document in enumerate(order[:depth], 1))
    ideal = sorted(grades.values(), reverse=True)[:depth]
    return gain / sum(grade / math.log2(rank + 1) for rank, grade in enumerate(ideal, 1))


def recall(order: Sequence[int], grades: Grades, depth: int = 100) -> float:
    return len({int(document) for document in order[:depth]} & set(grades)) / len(grades)


def orders(scores: Matrix, depth: int = 100) -> NDArray[np.intp]:
    """Best first, ties by number."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :depth]


def each_ndcg(scores: Matrix, grades: Sequence[Grades], rows: Sequence[int]) -> list[float]:
    """For these rows of the matrix (and of grades)."""
    return [ndcg(order, grades[row]) for order, row in zip(orders(scores[list(rows)], 10).tolist(), rows, strict=True)]


def mean_recall(scores: Matrix, grades: Sequence[Grades], rows: Sequence[int]) -> float:
    found = orders(scores[list(rows)]).tolist()
    return float(np.mean([recall(order, grades[row]) for order, row in zip(found, rows, strict=True)]))
