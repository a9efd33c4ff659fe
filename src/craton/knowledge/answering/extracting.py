"""Answering by quoting: the sentences that hold the answer, found by scoring them one by one.

A sentence's score is a weighted sum of six things that can be seen: how near its meaning is to the question's, how many
of the question's (rare) words it has, how many more its neighbours and headings have, whether it holds the kind of
thing that is asked for, whether it says anything that the question does not, and how near the best sentence of its
passage is. The weights were fitted by a softmax over the candidates on one half of a reading-comprehension set (split
by article) and checked on the other; `python -m bench calibration` fits them again.

Whether the sources hold an answer at all is a second, logistic sum over the best sentence. `MARGIN` is set where about
one answerable question in twenty is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from craton.core.knowledge import Passage
from craton.knowledge.answering.cues import expected, holds
from craton.knowledge.answering.models import Embed, Vector, dot
from craton.knowledge.answering.sentences import Sentence, rarity, sentences_of, shortlist
from craton.knowledge.grounding.facts import names, negated, numbers
from craton.knowledge.grounding.words import content, words

SCORE = (5.64, 7.89, 4.07, 0.84, -0.92, 8.30)
"""Weights of `Features`, in their order."""

ANSWERABLE = (4.79, 1.18, 0.64, 0.18, -0.79, -1.02, -1.07)
"""Weights of `Evidence`, in their order."""

BIAS = -3.78
MARGIN = -1.5
MAX_QUOTES = 3
NEAR = 1.5  # how far below the best score a sentence is still quoted
SAYS = 3  # words that a sentence beside the best must bring


class Features(Struct, frozen=True, array_like=True):
    """Of one sentence. meaning and passage: cosines; words and around: shares of the question's words, weighted by
    rarity; kind: 1, -1, or 0 when the question asks for no kind that can be told; empty: says nothing new."""

    meaning: float
    words: float
    around: float
    kind: float
    empty: float
    passage: float


class Evidence(Struct, frozen=True, array_like=True):
    """That the question can be answered, seen in the best sentence. names and numbers: 1 when the question has some
    that its passage lacks; negation: 1 when the question denies and the sentence does not, or the other way."""

    meaning: float
    words: float
    around: float
    kind: float
    names: float
    numbers: float
    negation: float


class Scored(Struct, frozen=True):
    """says: how many words it has (numbers aside) that the question does not."""

    sentence: Sentence
    features: Features
    score: float
    says: int


class Extraction(Struct, frozen=True):
    """ranked: all that were scored, best first. evidence: None when there was nothing to score. confidence: log-odds
    that the sources hold the answer."""

    ranked: tuple[Scored, ...]
    evidence: Evidence | None
    confidence: float

    @property
    def answered(self) -> bool:
        return self.confidence >= MARGIN

    @property
    def quotes(self) -> tuple[Scored, ...]:
        """One to three sentences, best first; none when there is no answer. Beside the best, only what says something
        that the question does not: a heading or a table's row that repeats its words is no second answer."""
        if not self.answered:
            return ()
        best, *others = self.ranked[:MAX_QUOTES]
        return (best, *(found for found in others if best.score - found.score <= NEAR and found.says >= SAYS))


NOTHING = Extraction((), None, float("-inf"))


async def extract(question: str, passages: Sequence[Passage], embed: Embed) -> Extraction:
    """question: as it was searched for. Embeds at most MAX_SCORED sentences and the question, in one batch."""
    every = sentences_of(passages)
    asked = list(dict.fromkeys(content(question) or words(question)))
    weights = rarity(asked, every)
    sentences = shortlist(every, passages, weights)
    if not sentences:
        return NOTHING
    vectors = await embed([question, *(sentence.text for sentence in sentences)])
    return judge(question, passages, sentences, weights, vectors[0], vectors[1:])


def judge(
    question: str,
    passages: Sequence[Passage],
    sentences: Sequence[Sentence],
    weights: dict[str, float],
    asked: Vector,
    vectors: Sequence[Vector],
) -> Extraction:
    """weights: of the question's words. asked and vectors: unit vectors of the question and of each sentence."""
    cosines = [dot(asked, vector) for vector in vectors]
    best: dict[int, float] = {}
    for sentence, cosine in zip(sentences, cosines, strict=True):
        best[sentence.passage] = max(best.get(sentence.passage, -1.0), cosine)
    scored = [
        _score(question, sentence, cosine, best[sentence.passage], weights)
        for sentence, cosine in zip(sentences, cosines, strict=True)
    ]
    ranked = tuple(sorted(scored, key=lambda found: -found.score))
    first = ranked[0]
    evidence = _evidence(question, first, passages[first.sentence.passage])
    return Extraction(ranked, evidence, BIAS + sum(w * x for w, x in zip(ANSWERABLE, _values(evidence), strict=True)))


def _score(question: str, sentence: Sentence, cosine: float, passage: float, weights: dict[str, float]) -> Scored:
    whole = sum(weights.values()) or 1.0
    own = sum(weight for word, weight in weights.items() if word in sentence.words) / whole
    near = sum(weight for word, weight in weights.items() if word in sentence.around) / whole
    kind = expected(question)
    fits = 0.0 if kind is None else 1.0 if holds(kind, question, sentence.text) else -1.0
    new = sentence.words - weights.keys()
    features = Features(cosine, own, near - own, fits, float(len(new) < 3), passage)
    score = sum(w * x for w, x in zip(SCORE, _values(features), strict=True))
    return Scored(sentence, features, score, sum(not word.isdecimal() for word in new))


def _evidence(question: str, best: Scored, passage: Passage) -> Evidence:
    context = f"{passage.title} {passage.heading} {passage.text}"
    present = frozenset(words(context))
    missing = any(not present.issuperset(words(name)) for name in names(question))
    return Evidence(
        best.features.meaning,
        best.features.words,
        best.features.around,
        best.features.kind,
        float(missing),
        float(not numbers(question) <= numbers(context)),
        float(negated(question) != negated(best.sentence.text)),
    )


def _values(features: Features | Evidence) -> tuple[float, ...]:
    return tuple(getattr(features, name) for name in features.__struct_fields__)
