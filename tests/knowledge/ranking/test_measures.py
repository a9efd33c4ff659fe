"""The benchmark's own measures: what the figures rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.retrieval.collections import Collection
from bench.retrieval.measures import Grades, each_ndcg, ndcg, orders, recall
from bench.retrieval.running import fold_of


def test_ndcg_by_hand() -> None:
    gain = 2 / math.log2(2) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg([7, 1, 8], {7: 2, 8: 1, 9: 1}) == pytest.approx(gain / ideal)
    assert ndcg([7, 8, 9], {7: 2, 8: 1, 9: 1}) == pytest.approx(1.0)
    assert ndcg([1, 2], {7: 1}) == 0.0
    assert ndcg([1] * 10 + [7], {7: 1}) == 0.0


def test_recall_by_hand() -> None:
    assert recall([1, 2, 3], {2: 1, 9: 1}, 100) == 0.5
    assert recall([1, 2, 3], {2: 1, 9: 1}, 1) == 0.0


def test_equal_scores_are_ordered_by_number() -> None:
    assert orders(np.array([[0.5, 1.0, 0.5]]))[0].tolist() == [1, 0, 2]
    assert each_ndcg(np.array([[0.0, 1.0], [1.0, 0.0]]), [{0: 1}, {0: 1}], [1]) == [1.0]


def test_questions_that_share_documents_share_a_fold() -> None:
    grades: list[Grades] = [{0: 1}, {1: 1}, {0: 1, 2: 1}, {2: 1}, {3: 1}, {4: 1, 1: 1}]
    folds = fold_of(Collection("c", [""] * 5, [""] * 5, ["q"] * 6, grades, list(range(6)), []))
    assert folds[0] == folds[2] == folds[3]
    assert folds[1] == folds[5]
