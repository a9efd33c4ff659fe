"""Words and facts: what is the same for a reader is the same here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.grounding.facts import names, negated, numbers, times
from craton.knowledge.grounding.words import content, fold, number, words


@pytest.mark.parametrize(
    "family",
    [
        "rotate rotates rotated rotating rotation rotations",
        "run runs running",
        "key keys",
        "create creates created creation",
        "policy policies",
        "class classes",
        "general generally",
        "apply applies applied",
        "deploy deployment deployments",
    ],
)
def test_a_family_of_words_shares_a_stem(family: str) -> None:
    assert len(set(words(family))) == 1


def test_different_words_stay_apart() -> None:
    found = words("rate ratio nation native port model modem general genera")
    assert len(set(found)) == len(found)


def test_common_words_carry_nothing() -> None:
    assert content("What is it that they have been?") == []


def test_languages_without_spaces_are_read_in_pairs() -> None:
    assert content("東京タワー") == ["東京", "京タ", "タワ", "ワー"]


@given(st.text(max_size=100))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1,000", "1000"),
        ("3.50", "3.5"),
        ("10th", "10"),
        ("Seven", "7"),
        ("third", "3"),
        ("1.000.000", "1000000"),
        ("cat", None),
    ],
)
def test_numbers_are_read_in_any_spelling(token: str, value: str | None) -> None:
    assert number(token) == value


def test_facts_are_found() -> None:
    assert numbers("Twenty-one of 1,000 A4 pages") == {"20", "1", "1000", "a4"}
    assert names("In Paris, NASA met McKinley. Then Bob's dog ran.") == {"paris", "nasa", "mckinley", "bob"}
    assert times("It opened in 1934.")
    assert times("On Monday at noon.")
    assert not times("It opened with 12 cars.")
    assert negated("It doesn\u2019t run.")
    assert not negated("It runs.")
