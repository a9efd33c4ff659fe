"""Sentences of a text that is still being written."""

from __future__ import annotations

from msgspec import Struct

from craton.data.chunking.sentences import sentence_spans

LONGEST = 2_000  # characters after which an endless sentence is taken as ended


class Said(Struct, frozen=True):
    """answer[start:end] == text: a whole sentence."""

    start: int
    end: int
    text: str


class Splitter:
    """Feed it what arrives; it gives back the sentences that have ended since."""

    def __init__(self) -> None:
        self._open = ""
        self._start = 0

    def feed(self, text: str) -> list[Said]:
        """A sentence has ended when the next one has begun."""
        self._open += text
        if not any(mark in text for mark in (" ", "\n")) and len(self._open) < LONGEST:
            return []
        spans = sentence_spans(self._open)
        return self._take(spans[:-1] if len(self._open) - (spans[-1][0] if spans else 0) < LONGEST else spans)

    def end(self) -> list[Said]:
        return self._take(sentence_spans(self._open))

    def _take(self, spans: list[tuple[int, int]]) -> list[Said]:
        if not spans:
            return []
        found = [Said(self._start + start, self._start + end, self._open[start:end]) for start, end in spans]
        self._open, self._start = self._open[spans[-1][1] :], self._start + spans[-1][1]
        return found
