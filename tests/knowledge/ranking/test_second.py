from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.ranking.second import covered, looked_at, passed_over
from craton.knowledge.ranking.wording import MAX_ABOVE, worded

shares = st.floats(0, 1)


def test_words_in_one_sentence_cover_more_than_the_same_words_in_two() -> None:
    apart, together, neither = covered(
        "harbour ferry",
        ["The harbour is old. A ferry leaves.", "The harbour ferry leaves. It is old.", "Bread is baked."],
    )
    assert (together, neither) == (1.0, 0.0)
    assert 0 < apart < 1


def test_a_rare_word_covers_more_than_a_common_one() -> None:
    rare, common = covered("harbour ferry", ["A harbour.", "A ferry.", "Another ferry.", "One more ferry."])[:2]
    assert rare > common


@pytest.mark.parametrize("query", ["", "the of and", "?!"])
def test_a_question_without_words_is_covered_by_nothing(query: str) -> None:
    assert covered(query, ["The harbour.", ""]) == [0.0, 0.0]


@given(st.text(max_size=60), st.lists(st.text(max_size=200), max_size=6))
def test_what_is_covered_lies_between_0_and_1(query: str, texts: list[str]) -> None:
    parts = covered(query, texts)
    assert len(parts) == len(texts)
    assert all(0 <= part <= 1 for part in parts)


@given(shares, shares, shares, shares)
def test_nothing_that_was_passed_over_comes_before_what_was_looked_at(
    before: float, after: float, cosine: float, part: float
) -> None:
    before, after = max(before, after), min(before, after)
    assert 0 <= passed_over(after) <= looked_at(before, cosine, part) <= 1


def test_a_title_and_a_heading_are_put_in_front_once() -> None:
    assert worded("Book", "", "Keys are rotated.") == "Book\nKeys are rotated."
    assert worded("Book", "Book > Keys", "They are rotated.") == "Book > Keys\nThey are rotated."
    assert worded("Book", "Keys", "# Keys\n\nThey are rotated.") == "Book\n# Keys\n\nThey are rotated."
    assert worded("", "", "Keys.") == "Keys."


@given(st.text(max_size=1000), st.text(max_size=1000), st.text(max_size=100))
def test_what_stands_above_is_bounded_and_the_text_stays(title: str, heading: str, text: str) -> None:
    made = worded(title, heading, text)
    assert made.endswith(text)
    assert len(made) <= len(text) + 2 * (MAX_ABOVE + 1)
