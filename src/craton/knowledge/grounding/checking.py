"""Whether a sentence of an answer stands in the sources, and where.

From cheap to dear: its numbers must stand in the cited span and its names there or elsewhere in the same passage; it
must deny what the span denies; its words, above all those that the question did not bring, must stand in the span; and
where words alone do not settle it, the two must be near in meaning. What fails is not supported: no citation is made
for it.

What this cannot see is measured in docs/rag.md: one plain word put in another's place in a long sentence passes often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from craton.core.knowledge import Passage, Reference
from craton.data.chunking.sentences import sentence_spans
from craton.knowledge.grounding.facts import names, negated, numbers
from craton.knowledge.grounding.words import content, words

SURE, OVERALL = 0.6, 0.5  # shares of new words and of all words that settle it alone
POSSIBLE = 0.3  # of new words; then the meaning decides
NEAR = 0.65  # cosine
SHORT = 3  # content words: an answer this short must point to a span about the question
ABOUT = 0.3  # share of the question's words in such a span, its neighbours and headings
SMALL = frozenset(map(str, range(21)))  # counts ("the two sources") that an answer may repeat from its question
MAX_READ = 40_000  # characters of one passage
MAX_REFERENCES = 2
MAX_COMPARED = 4  # spans whose meaning is compared for one sentence

Similar = Callable[[str, Sequence[str]], Awaitable[list[float]]]
"""Cosines of a sentence with some spans."""


class _Span(Struct, frozen=True):
    """One sentence of a passage, or two neighbours."""

    passage: int
    start: int
    end: int
    words: frozenset[str]
    about: float


class Support(Struct, frozen=True):
    span: _Span
    new: float
    overall: float

    @property
    def value(self) -> float:
        return self.new + self.overall + 0.5 * self.span.about


class Grounding:
    """The passages of one answer, read once. similar: asked when words alone do not settle it."""

    def __init__(self, question: str, passages: Sequence[Passage], similar: Similar) -> None:
        self._passages = passages
        self._similar = similar
        self._asked = frozenset(content(question))
        self._counted = frozenset(found for found in numbers(question) if found in SMALL)
        self._named = [frozenset(words(f"{passage.title} {passage.heading} {passage.text}")) for passage in passages]
        self._spans = [span for index in range(len(passages)) for span in self._read(index)]

    async def check(self, sentence: str) -> tuple[Reference, ...]:
        """The spans that support the sentence, best first; none when nothing does."""
        candidates = await asyncio.to_thread(self._candidates, sentence)
        sure = [found for found in candidates if found.new >= SURE and found.overall >= OVERALL]
        if not sure and candidates:
            tried = candidates[:MAX_COMPARED]
            cosines = await self._similar(sentence, [self._text(found.span) for found in tried])
            sure = [found for found, cosine in zip(tried, cosines, strict=True) if cosine >= NEAR]
        chosen: list[Support] = []
        for found in sure:
            if all(found.span.passage != other.span.passage for other in chosen):
                chosen.append(found)
        return tuple(
            Reference(self._passages[found.span.passage], found.span.start, found.span.end)
            for found in chosen[:MAX_REFERENCES]
        )

    def _candidates(self, sentence: str) -> list[Support]:
        """Spans that hold its facts and some of its words, best first, the shorter of equals before the longer."""
        said = frozenset(content(sentence))
        if not said:
            return []
        new = said - self._asked or said
        figures, named, denies = (
            numbers(sentence) - self._counted,
            [words(name) for name in names(sentence)],
            negated(sentence),
        )
        found = []
        for span in self._spans:
            support = Support(span, len(new & span.words) / len(new), len(said & span.words) / len(said))
            if support.new < POSSIBLE or (len(said) <= SHORT and span.about < ABOUT):
                continue
            text = self._text(span)
            present = self._named[span.passage]
            if figures <= numbers(text) and all(present.issuperset(name) for name in named) and denies == negated(text):
                found.append(support)
        return sorted(found, key=lambda support: (-support.value, support.span.end - support.span.start))

    def _read(self, index: int) -> list[_Span]:
        passage = self._passages[index]
        text = passage.text[:MAX_READ]
        spans = sentence_spans(text)
        above = frozenset(content(f"{passage.title} {passage.heading}"))
        singles = [frozenset(content(text[start:end])) for start, end in spans]
        read = []
        for number, (start, end) in enumerate(spans):
            around = above.union(*singles[max(0, number - 1) : number + 2])
            about = len(self._asked & around) / len(self._asked) if self._asked else 1.0
            read.append(_Span(index, start, end, singles[number], about))
            if number + 1 < len(spans):
                read.append(_Span(index, start, spans[number + 1][1], singles[number] | singles[number + 1], about))
        return read

    def _text(self, span: _Span) -> str:
        return self._passages[span.passage].text[span.start : span.end]
