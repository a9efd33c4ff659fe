"""Rows that a query gave are told as they are."""

from __future__ import annotations

from craton.core.knowledge import Location, Passage
from craton.knowledge.answering.rows import MAX_TOLD, rows_of


def row(text: str, query: str = "SELECT 1") -> Passage:
    return Passage("d", 0, text, Location("sql", "postgresql://sales/query"), 1.0, row={"a": text}, query=query)


def test_each_row_is_one_quote() -> None:
    told = rows_of([row("a: 1\nb: 2"), row("a: 3")])
    assert [(one.passage, one.start, one.end, one.text) for one in told] == [(0, 0, 9, "a: 1\nb: 2"), (1, 0, 4, "a: 3")]


def test_a_row_of_nulls_says_nothing_and_documents_are_no_rows() -> None:
    assert [one.passage for one in rows_of([row(""), row("a: 1"), row("A document.", query="")])] == [1]


def test_an_answer_holds_as_many_rows_as_fit() -> None:
    assert len(rows_of([row("x" * (MAX_TOLD // 3))] * 5)) == 3
