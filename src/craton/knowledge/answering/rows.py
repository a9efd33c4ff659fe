"""Answers from a database's rows: what a query gave is told as it is, row by row. No sentence is looked for in it."""

from __future__ import annotations

from collections.abc import Sequence

from craton.core.knowledge import Passage
from craton.knowledge.answering.sentences import Sentence

BETWEEN = "\n\n"  # rows
MAX_TOLD = 20_000  # characters of one answer


def rows_of(passages: Sequence[Passage]) -> list[Sentence]:
    """The rows that a query gave, each as one quote, as many as fit; none for passages of documents. A row in which
    everything is null says nothing."""
    told: list[Sentence] = []
    length = 0
    for number, passage in enumerate(passages):
        if not passage.query or not passage.text:
            continue
        length += len(passage.text)
        if length > MAX_TOLD:
            break
        told.append(Sentence(number, 0, len(passage.text), passage.text, frozenset(), frozenset()))
    return told
