"""From logits to labels, and to the tokens that fill a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from craton.core.model import ClassifyRequest, Score
from craton.engines.bert.arrays import Array, Ids
from craton.engines.bert.labels import Labels, apply
from craton.engines.bert.masking import Masks

MAX_TOP = 1000
"""Of the tokens that may fill a mask."""

Scores = tuple[tuple[Score, ...], ...]


def classified(request: ClassifyRequest, labels: Labels, logits: Array) -> Scores:
    """Each input's labels, the best first."""
    function = request.function or labels.function
    rows = []
    for row in logits:
        scores = apply(function, row)
        best = np.argsort(-scores, kind="stable")[: request.top]
        rows.append(tuple(Score(labels.names[index], float(scores[index])) for index in best.tolist()))
    return tuple(rows)


def filled(masks: Masks, rows: Sequence[Ids], logits: Array, targets: Sequence[int], top: int) -> Scores:
    """Each input's tokens, the best first. Scores are shares of the whole vocabulary, also among targets (ids)."""
    wanted = np.unique(np.array(targets, dtype=np.int64)) if targets else np.arange(logits.shape[1])
    return tuple(
        _best(masks, row, apply("softmax", scored), wanted, top) for row, scored in zip(rows, logits, strict=True)
    )


def _best(masks: Masks, row: Ids, scores: Array, wanted: NDArray[np.int64], top: int) -> tuple[Score, ...]:
    best = wanted[np.argsort(-scores[wanted], kind="stable")[:top]].tolist()
    return tuple(Score(masks.token(it), float(scores[it]), it, masks.written(row, it)) for it in best)
