from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from craton.knowledge.decomposing import MAX_PARTS, by_rules, checked

WORDS = ("what", "is", "and", "how", ";", "?", ".", "key", "vs", "compare", "with")


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("What is BM25 and how does it rank?", ("What is BM25", "how does it rank?")),
        ("Who owns the key? When does it expire?", ("Who owns the key?", "When does it expire?")),
        ("I run SQLite. How is it backed up? Can it move?", ("How is it backed up?", "Can it move?")),
        ("What is the difference between a chunk and a piece?", ("a chunk", "a piece")),
        ("Compare SQLite with PostgreSQL", ("SQLite", "PostgreSQL")),
        ("SQLite vs. PostgreSQL?", ("SQLite", "PostgreSQL")),
        ("What is a lease; when does it end?", ("What is a lease", "when does it end?")),
    ],
)
def test_what_asks_two_things_is_split(question: str, parts: tuple[str, ...]) -> None:
    assert by_rules(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "How and why are keys rotated?",
        "What is rock and roll?",
        "Which documents are chunked and embedded?",
        "keys",
        "",
        "?",
        "and",
        "What is it and what is it?",
        "0-dimensional biomaterials lack inductive properties.",
    ],
)
def test_what_asks_one_thing_stays_whole(question: str) -> None:
    assert by_rules(question) == ()


@given(st.text(max_size=300) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_parts_are_few_different_and_never_alone(question: str) -> None:
    parts = by_rules(question)
    assert len(parts) != 1
    assert len(parts) <= MAX_PARTS
    assert len(set(parts)) == len(parts)
    assert all(part.strip() and part in " ".join(question.split()) for part in parts)


def test_a_models_lines_must_be_about_the_question() -> None:
    lines = [
        "1. How is the key rotated?",
        "Sure, here you go!",
        "- Who may revoke a key?",
        "",
        "- who may revoke a KEY?",
    ]
    assert checked("How are keys rotated, by whom revoked?", lines) == (
        "How is the key rotated?",
        "Who may revoke a key?",
    )
    assert checked("How are keys rotated?", ["How are keys rotated?"]) == ()
    assert checked("How are keys rotated?", ["The harbour ferry", "Bread"]) == ()
