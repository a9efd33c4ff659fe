"""Sentences of a stream: however it is cut, their spans are the answer's own and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.answering.splitting import LONGEST, Said, Splitter

words = st.sampled_from(["One", "two", "three.", "Dr.", "Lee", "said", "so!", "\n", "3.5", "why?", "e.g.", "This"])


@given(st.lists(words, max_size=30), st.lists(st.integers(0, 200), max_size=10))
def test_spans_are_right_however_the_text_arrives(parts: list[str], cuts: list[int]) -> None:
    text = " ".join(parts)
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    splitter = Splitter()
    said: list[Said] = []
    for start, end in pairwise(bounds):
        said += splitter.feed(text[start:end])
    said += splitter.end()
    assert all(text[found.start : found.end] == found.text for found in said)
    assert all(one.end <= other.start for one, other in pairwise(said))
    assert "".join("".join(found.text.split()) for found in said) == "".join(text.split())


def test_a_sentence_ends_when_the_next_begins() -> None:
    splitter = Splitter()
    assert splitter.feed("The first one. ") == []
    assert splitter.feed("The second") == [Said(0, 14, "The first one.")]
    assert splitter.end() == [Said(15, 25, "The second")]


def test_an_endless_sentence_is_cut() -> None:
    splitter = Splitter()
    said = [found for _ in range(LONGEST) for found in splitter.feed("so ")]
    assert said
