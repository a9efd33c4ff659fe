"""Terms are the same for a document and a question about it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from craton.index.analysis import MAX_TERMS, document_terms, query_terms


@given(st.text())
def test_a_text_is_found_by_its_own_words(text: str) -> None:
    assert set(query_terms(text)) == set(document_terms(text))
    assert all(0 < weight < 2.2 and 0 <= term < 2**32 for term, weight in document_terms(text).items())


def test_case_endings_and_stop_words_make_no_difference() -> None:
    assert query_terms("The KEYS were rotated") == query_terms("rotating a key")[::-1]


def test_words_that_say_nothing_leave_nothing() -> None:
    assert query_terms("") == query_terms("?! … the of") == []


def test_scripts_without_spaces_are_cut_into_pairs() -> None:
    assert set(query_terms("東京")) <= set(document_terms("東京都に住む"))
    assert len(query_terms("東京都")) == 2


def test_a_longer_text_gives_each_term_less_weight() -> None:
    (term,) = query_terms("key")
    assert document_terms("key")[term] > document_terms("key " + "lock " * 400)[term]


def test_an_endless_text_is_bounded() -> None:
    assert sum(document_terms("word " * (MAX_TERMS * 2)).values()) < 2.2


def test_threads_agree() -> None:
    words = [f"running{i} jumps{i} keys{i}" for i in range(2000)]
    alone = [query_terms(text) for text in words]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(query_terms, words * 4)) == alone * 4
