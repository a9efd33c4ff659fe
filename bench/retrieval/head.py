"""A linear head on the question's vector, trained on questions with known documents.

question' = question + W question, W learned by softmax regression over the candidates' fused scores (Adam, with W drawn
to 0). It is here to show what it learns: to recognise the documents that training questions asked for. Its figures look
splendid where questions ask for those same documents, and not where they do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.retrieval.legs import Legs
from bench.retrieval.measures import Matrix
from bench.retrieval.variants import fused

_CANDIDATES, _SHARPNESS = 150, 15.0


def train(legs: Legs, rows: list[int], decay: float, steps: int, rate: float) -> NDArray[np.float64]:
    base = fused(legs.dense, legs.lexical)
    top = np.argsort(-base[rows], axis=1)[:, :_CANDIDATES]
    right = np.array(
        [[int(one) in legs.collection.grades[row] for one in line] for row, line in zip(rows, top, strict=True)]
    )
    kept = right.any(axis=1)
    chosen, top, right = np.array(rows)[kept], top[kept], right[kept]
    questions = legs.questions[chosen].astype(np.float64)
    pieces = legs.pieces[_best_pieces(legs, chosen, top)].astype(np.float64)
    dense = legs.dense[chosen]
    floor = -np.partition(-dense, 200, axis=1)[:, 200:201]
    scale = 0.5 * _SHARPNESS / np.maximum(dense.max(axis=1, keepdims=True) - floor, 1e-9)
    words = _SHARPNESS * base[chosen[:, None], top] - scale * np.maximum(
        dense[np.arange(len(chosen))[:, None], top] - floor, 0
    )
    width = questions.shape[1]
    weights, mean, square = (np.zeros((width, width)) for _ in range(3))
    for step in range(1, steps + 1):
        logits = scale * np.einsum("qd,qnd->qn", questions + questions @ weights.T, pieces) + words
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        wanted = np.where(right, chance, 0)
        wanted /= np.maximum(wanted.sum(axis=1, keepdims=True), 1e-12)
        slope = np.einsum("qn,qnd->qd", (chance - wanted) * scale, pieces)
        gradient = (slope.T @ questions + decay * weights) / len(chosen)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        weights -= rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return weights


def _best_pieces(legs: Legs, rows: NDArray[np.intp], top: NDArray[np.intp]) -> NDArray[np.intp]:
    ends = np.append(legs.starts[1:], len(legs.pieces))
    return np.array(
        [
            [legs.starts[one] + np.argmax(legs.dense_pieces[row, legs.starts[one] : ends[one]]) for one in line]
            for row, line in zip(rows, top, strict=True)
        ]
    )


def applied(legs: Legs, weights: NDArray[np.float64]) -> Matrix:
    questions = legs.questions + legs.questions @ weights.T
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    dense = np.maximum.reduceat((questions @ legs.pieces.T).astype(np.float32), legs.starts, axis=1)
    return fused(dense, legs.lexical)
