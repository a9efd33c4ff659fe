"""What filters mean, example by example."""

from __future__ import annotations

import pytest
from hypothesis import given

from craton.core.errors import InvalidRequest
from craton.core.knowledge import AllOf, AnyOf, Compare, Filter, Metadata, Operator, Scalar
from craton.index.matching import MAX_COMPARISONS, MAX_DEPTH, check_filter, matches
from craton.index.ordering import sortable
from tests.index.worlds import filters, metadata, numbers, texts

DOCUMENT: Metadata = {"year": 2024.0, "title": "Über uns", "open": True, "tags": ("red", "dark blue")}


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("equals", "year", 2024.0, True),
        ("equals", "year", "2024", False),
        ("equals", "open", True, True),
        ("equals", "open", 1.0, False),
        ("equals", "gone", "x", False),
        ("notEquals", "year", "2024", True),
        ("notEquals", "gone", "x", True),
        ("notEquals", "title", "Über uns", False),
        ("in", "year", (1.0, 2024.0), True),
        ("in", "gone", (1.0,), False),
        ("in", "year", (), False),
        ("notIn", "gone", (1.0,), True),
        ("notIn", "year", (2024.0,), False),
        ("greaterThan", "year", 2023.5, True),
        ("greaterThan", "year", "a", False),
        ("greaterThan", "open", False, False),
        ("greaterThanOrEquals", "year", 2024.0, True),
        ("lessThan", "title", "Ü", False),
        ("lessThan", "title", "Übes", True),
        ("lessThanOrEquals", "gone", 1.0, False),
        ("startsWith", "title", "Über", True),
        ("startsWith", "title", "über", False),
        ("startsWith", "tags", "red", False),
        ("stringContains", "title", "er u", True),
        ("stringContains", "tags", "blue", True),
        ("stringContains", "tags", "reddark", False),
        ("listContains", "tags", "dark blue", True),
        ("listContains", "tags", "blue", False),
        ("listContains", "title", "Über uns", False),
    ],
)
def test_each_operator(operator: Operator, key: str, value: Scalar, expected: bool) -> None:
    assert matches(Compare(operator, key, value), DOCUMENT) is expected


def test_no_filter_and_all_of_nothing_match_and_any_of_nothing_does_not() -> None:
    assert matches(None, {})
    assert matches(AllOf(()), {})
    assert not matches(AnyOf(()), {})


@given(filters, metadata)
def test_filters_join_as_logic_does(wanted: Filter, document: Metadata) -> None:
    yes = matches(wanted, document)
    assert matches(AllOf((wanted, AllOf(()))), document) is yes
    assert matches(AnyOf((wanted, AnyOf(()))), document) is yes


@given(numbers, numbers)
def test_sortable_numbers_sort_as_numbers_do(one: float, other: float) -> None:
    left, right = sortable(one), sortable(other)
    assert left is not None
    assert right is not None
    assert (left < right, left == right) == (one < other, one == other)


@given(texts, texts)
def test_sortable_strings_sort_by_code_point(one: str, other: str) -> None:
    left, right = sortable(one), sortable(other)
    assert left is not None
    assert right is not None
    assert (left < right, left == right) == (one < other, one == other)


def test_a_filter_is_bounded() -> None:
    leaf: Filter = Compare("equals", "a", "b")
    check_filter(AllOf((leaf,) * MAX_COMPARISONS))
    with pytest.raises(InvalidRequest):
        check_filter(AllOf((leaf,) * (MAX_COMPARISONS + 1)))
    deep = leaf
    for _ in range(MAX_DEPTH):
        deep = AllOf((deep,))
    with pytest.raises(InvalidRequest):
        check_filter(deep)
