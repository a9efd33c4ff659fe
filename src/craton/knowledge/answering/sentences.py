"""The sentences of the passages that were found: what an answer quotes and what a citation points to."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec import Struct

from craton.core.knowledge import Passage
from craton.data.chunking.sentences import sentence_spans
from craton.knowledge.grounding.words import content

_HEADING = re.compile(r"#{1,6} [^\n]*")
MAX_CHARACTERS = 1_200  # of a sentence that may be quoted: longer ones are tables and listings
MAX_SCORED = 40  # sentences that are embedded for one answer: one batch, about 80 ms on two cores
MAX_READ = 40_000  # characters read of one passage


class Sentence(Struct, frozen=True):
    """passages[passage].text[start:end] == text. words: its content words; around: those of its neighbours."""

    passage: int
    start: int
    end: int
    text: str
    words: frozenset[str]
    around: frozenset[str]


def sentences_of(passages: Sequence[Passage]) -> list[Sentence]:
    """In the passages' order; one that stands in two passages (chunks overlap, documents repeat each other) is listed
    where it is found first."""
    found: list[Sentence] = []
    seen: set[str] = set()
    for number, passage in enumerate(passages):
        text = passage.text[:MAX_READ]
        spans = [span for span in sentence_spans(text) if _quotable(text[span[0] : span[1]])]
        words = [frozenset(content(text[start:end])) for start, end in spans]
        above = frozenset(content(f"{passage.title} {passage.heading}"))
        for index, (start, end) in enumerate(spans):
            quoted = text[start:end]
            if quoted in seen:
                continue
            seen.add(quoted)
            around = above.union(*words[max(0, index - 1) : index + 2])
            found.append(Sentence(number, start, end, quoted, words[index], around))
    return found


def _quotable(text: str) -> bool:
    """A heading names what follows and answers nothing; what is very long is a table or a listing."""
    return len(text) <= MAX_CHARACTERS and not _HEADING.fullmatch(text)


def rarity(asked: Sequence[str], sentences: Sequence[Sentence]) -> dict[str, float]:
    """How much each word of the question tells these sentences apart: the inverse document frequency of BM25."""
    total = len(sentences)
    counts = {word: sum(word in sentence.words for sentence in sentences) for word in asked}
    return {word: math.log(1 + (total - count + 0.5) / (count + 0.5)) for word, count in counts.items()}


def shortlist(
    sentences: Sequence[Sentence], passages: Sequence[Passage], weights: dict[str, float], limit: int = MAX_SCORED
) -> list[Sentence]:
    """The sentences worth embedding, in their order: those that share the rarest words with the question, that lie in
    what was matched, and that come from the best passages."""
    if len(sentences) <= limit:
        return list(sentences)
    whole = sum(weights.values()) or 1.0

    def promise(sentence: Sentence) -> float:
        passage = passages[sentence.passage]
        own = sum(weight for word, weight in weights.items() if word in sentence.words)
        near = sum(weight for word, weight in weights.items() if word in sentence.around)
        hit = any(start < sentence.end and sentence.start < end for start, end in passage.matched)
        return (own + 0.5 * near) / whole + 0.3 * hit + 0.5 / (1 + sentence.passage)

    kept = sorted(range(len(sentences)), key=lambda index: (-promise(sentences[index]), index))[:limit]
    return [sentences[index] for index in sorted(kept)]
