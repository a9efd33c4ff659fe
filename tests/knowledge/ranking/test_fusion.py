from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.ranking.fusion import RANK_CONSTANT, best_first, reciprocal, stretched, weighted

scores = st.dictionaries(st.integers(0, 50), st.floats(-10, 10, width=32), max_size=20)
orders = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=10), min_size=1, max_size=4)


def test_reciprocal_ranks_by_hand() -> None:
    fused = reciprocal([["a", "b"], ["b", "c"]], constant=60)
    most = 2 / 61
    assert fused["a"] == pytest.approx((1 / 61) / most)
    assert fused["b"] == pytest.approx((1 / 62 + 1 / 61) / most)
    assert fused["c"] == pytest.approx((1 / 62) / most)


@given(orders)
def test_reciprocal_ranks_lie_between_0_and_1_and_do_not_depend_on_the_order_of_the_orders(
    given: list[list[int]],
) -> None:
    fused = reciprocal(given)
    assert all(0 < score <= 1 + 1e-9 for score in fused.values())
    assert reciprocal(given[::-1]) == pytest.approx(fused)


@given(orders)
def test_who_is_first_everywhere_has_the_score_1(given: list[list[int]]) -> None:
    fused = reciprocal([[99, *order] for order in given], RANK_CONSTANT)
    assert fused[99] == pytest.approx(1.0)
    assert best_first(fused)[0] == 99


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


@given(scores)
def test_equal_scores_stand_in_the_order_of_their_keys(given: dict[int, float]) -> None:
    order = best_first(given)
    assert order == sorted(order, key=lambda key: (-given[key], key))
    assert sorted(order) == sorted(given)
