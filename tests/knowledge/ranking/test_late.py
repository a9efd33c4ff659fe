from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.index.analysis import AVERAGE_TERMS, K1, B
from craton.knowledge.ranking import late

texts = st.lists(st.text(alphabet="ab c.東", max_size=40), max_size=6)


def test_the_lexical_score_by_hand() -> None:
    scores = late.lexical("rotate keys", ["rotate", "nothing here"])
    rotate = math.log(1 + 1.5 / 1.5)
    keys = math.log(1 + 2.5 / 0.5)
    weight = (K1 + 1) / (1 + K1 * (1 - B + B * 1 / AVERAGE_TERMS))
    assert scores[0] == pytest.approx(rotate * weight / ((K1 + 1) * (rotate + keys)))
    assert scores[1] == 0.0


@given(st.text(alphabet="ab c東", max_size=20), texts)
def test_lexical_scores_lie_between_0_and_1_whatever_is_asked(query: str, given: list[str]) -> None:
    scores = late.lexical(query, given)
    assert len(scores) == len(given)
    assert all(0 <= score <= 1 for score in scores)


def test_the_lexical_score_does_not_depend_on_the_order_of_the_texts() -> None:
    given = ["the key is rotated", "the lock", "a key and a key"]
    assert late.lexical("key rotation", given) == late.lexical("key rotation", given[::-1])[::-1]


def test_cosines_by_hand() -> None:
    vectors = array("f", [1.0, 0.0, 0.6, 0.8]).tobytes()
    assert late.cosines([0.0, 1.0], vectors) == pytest.approx([0.0, 0.8])
    assert late.cosines([0.0, 1.0], b"") == []


def test_the_dense_score_is_half_the_best_window_and_half_the_best_sentence() -> None:
    assert late.dense([0.2, 0.4], [0.1, 0.8]) == pytest.approx(0.6)
    assert late.dense([0.4], []) == 0.4
    assert late.dense([], []) == 0.0
    assert late.dense([-0.5], [-0.1]) == 0.0
