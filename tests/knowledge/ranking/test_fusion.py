from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.ranking.fusion import stretched, weighted

scores = st.dictionaries(st.integers(0, 50), st.floats(-10, 10, width=32), max_size=20)


@given(scores, st.floats(-10, 10), st.floats(0, 5))
def test_stretching_keeps_the_order_and_lies_between_0_and_1(
    given: dict[int, float], floor: float, least: float
) -> None:
    moved = stretched(given, floor, least)
    assert moved.keys() == given.keys()
    assert all(0 <= score <= 1 for score in moved.values())
    order = sorted(given, key=lambda key: given[key])
    assert all(moved[one] <= moved[other] for one, other in pairwise(order))


def test_stretching_by_hand() -> None:
    assert stretched({1: 0.2, 2: 0.6, 3: 0.4}, 0.2) == pytest.approx({1: 0.0, 2: 1.0, 3: 0.5})
    assert stretched({1: 0.21, 2: 0.22}, 0.2, least=0.2) == pytest.approx({1: 0.05, 2: 0.1})
    assert stretched({1: 0.3}, 0.3) == {1: 0.0}


@given(scores, scores)
def test_a_weighted_sum_does_not_depend_on_the_order_of_its_parts(
    one: dict[int, float], other: dict[int, float]
) -> None:
    assert weighted([(0.5, one), (0.5, other)]) == pytest.approx(weighted([(0.5, other), (0.5, one)]))


@given(scores, scores, st.integers(0, 50))
def test_a_better_score_in_one_part_never_makes_the_sum_worse(
    one: dict[int, float], other: dict[int, float], key: int
) -> None:
    before = weighted([(0.3, one), (0.7, other)])
    after = weighted([(0.3, {**one, key: one.get(key, 0.0) + 1}), (0.7, other)])
    assert after[key] >= before.get(key, 0.0)
