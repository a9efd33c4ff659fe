"""Fits the weights of `craton.knowledge.answering.extracting` on a SQuAD 2.0 file and checks them.

Every second article is for fitting, the others for checking. The score is fitted by a softmax over the sentences of
the five paragraphs that were found; whether there is an answer by a logistic regression over answerable questions,
unanswerable ones, and answerable ones whose article was taken away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from bench.answers import Matrix, Question, Squad, load
from bench.inprocess import EMBEDDING, call, inference, prepare
from craton.core.model import EmbedRequest
from craton.knowledge.answering.extracting import MARGIN, MAX_QUOTES, NEAR, Extraction, judge
from craton.knowledge.answering.ranking import Lexicon, best_first
from craton.knowledge.answering.sentences import rarity, sentences_of, shortlist
from craton.knowledge.grounding.words import content
from craton.serve.inference import Inference

TOP, RANKED = 5, 200
Array = np.ndarray[Any, Any]


class Seen(Struct, frozen=True):
    """One question's sentences. right: for each, whether the answer stands in it."""

    question: Question
    found: Extraction
    right: list[bool]


class Vectors(Struct, frozen=True):
    questions: Matrix
    paragraphs: Matrix
    sentences: dict[str, list[float]]


async def embed_all(serving: Inference, squad: Squad, asked: Sequence[Question]) -> Vectors:
    async def embed(texts: Sequence[str]) -> Matrix:
        rows = []
        for start in range(0, len(texts), 64):
            answer = await serving.embed(
                call(), EmbedRequest(EMBEDDING, tuple(texts[start : start + 64]), truncate=True)
            )
            rows.append(np.frombuffer(answer.vectors, "<f4").reshape(-1, answer.dimensions))
        return np.concatenate(rows)

    texts = sorted({sentence.text for sentence in sentences_of(squad.paragraphs)})
    sentences = await embed(texts)
    return Vectors(
        await embed([question.text for question in asked]),
        await embed([passage.text for passage in squad.paragraphs]),
        dict(zip(texts, sentences.tolist(), strict=True)),
    )


def see(squad: Squad, asked: Sequence[Question], vectors: Vectors, *, away: bool) -> list[Seen]:
    """away: without the paragraphs of the question's own article."""
    lexicon = Lexicon([f"{passage.title} {passage.text}" for passage in squad.paragraphs])
    read = [sentences_of([passage]) for passage in squad.paragraphs]
    seen = []
    for number, question in enumerate(asked):
        fused: dict[int, float] = {}
        dense = np.argsort(-(vectors.paragraphs @ vectors.questions[number]))[:RANKED].tolist()
        for order in (dense, best_first(lexicon.scores(question.text))[:RANKED]):
            for rank, index in enumerate(order):
                if not away or squad.articles[index] != question.article:
                    fused[index] = fused.get(index, 0.0) + 1 / (61 + rank)
        chosen = best_first(fused)[:TOP]
        passages = [squad.paragraphs[index] for index in chosen]
        every = [replace(sentence, passage=place) for place, index in enumerate(chosen) for sentence in read[index]]
        weights = rarity(list(dict.fromkeys(content(question.text))), every)
        sentences = shortlist(every, passages, weights)
        if not sentences:
            continue
        rows = [vectors.sentences[sentence.text] for sentence in sentences]
        found = judge(question.text, passages, sentences, weights, vectors.questions[number].tolist(), rows)
        right = [
            chosen[scored.sentence.passage] == question.paragraph
            and any(scored.sentence.start <= at < scored.sentence.end for _, at in question.answers)
            for scored in found.ranked
        ]
        seen.append(Seen(question, found, right))
    return seen


# --- fitting ------------------------------------------------------------------------------------------------------


def fit_score(seen: Sequence[Seen], steps: int = 250) -> Array:
    """Weights of `Features` under which the right sentences are the likeliest (softmax within each question)."""
    told = [one for one in seen if any(one.right)]
    x = np.array([values(scored.features) for one in told for scored in one.found.ranked])
    y = np.array([right for one in told for right in one.right], float)
    starts = np.cumsum([0, *(len(one.right) for one in told[:-1])])
    owner = np.repeat(np.arange(len(told)), [len(one.right) for one in told])
    y /= np.add.reduceat(y, starts)[owner]

    def gradient(weights: Array) -> Array:
        scores = x @ weights
        likely = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        likely /= np.add.reduceat(likely, starts)[owner]
        slope: Array = x.T @ (likely - y) / len(told) + 1e-4 * weights
        return slope

    return descend(gradient, x.shape[1], steps)


def fit_evidence(yes: Sequence[Seen], no: Sequence[Seen], away: Sequence[Seen], steps: int = 800) -> Array:
    """Weights of `Evidence`, the bias last. The questions whose article is away count half."""
    x = np.array([[*values(one.found.evidence), 1.0] for one in [*yes, *no, *away]])
    y = np.r_[np.ones(len(yes)), np.zeros(len(no) + len(away))]
    share = np.r_[np.ones(len(yes) + len(no)), np.full(len(away), 0.5)]

    def gradient(weights: Array) -> Array:
        slope: Array = x.T @ ((1 / (1 + np.exp(-x @ weights)) - y) * share) / share.sum() + 1e-3 * weights
        return slope

    return descend(gradient, x.shape[1], steps)


def descend(gradient: Any, size: int, steps: int) -> Array:
    """Adam."""
    weights, mean, square = np.zeros(size), np.zeros(size), np.zeros(size)
    for step in range(1, steps + 1):
        slope = gradient(weights)
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        weights -= 0.1 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return weights


def values(struct: Any) -> list[float]:
    return [getattr(struct, name) for name in struct.__struct_fields__]


# --- checking -----------------------------------------------------------------------------------------------------


def hits(seen: Sequence[Seen], weights: Array | None = None) -> dict[str, float]:
    """How often the answer stands in the best one, two and three sentences, and in those that would be quoted."""
    counts, quoted = np.zeros(MAX_QUOTES), [0, 0]
    for one in seen:
        scores = np.array([scored.score for scored in one.found.ranked])
        if weights is not None:
            scores = np.array([values(scored.features) for scored in one.found.ranked]) @ weights
        order = np.argsort(-scores, kind="stable")[:MAX_QUOTES]
        right = np.array(one.right)[order]
        counts += [right[: place + 1].any() for place in range(MAX_QUOTES)]
        near = scores[order] >= scores[order[0]] - NEAR
        quoted[0] += int(right[near].any())
        quoted[1] += int(near.sum())
    shares = (counts / len(seen)).round(3).tolist()
    return {"best": shares[0], "best 2": shares[1], "best 3": shares[2]} | {
        "quoted": round(quoted[0] / len(seen), 3),
        "sentences quoted": round(quoted[1] / len(seen), 2),
    }


def refused(seen: Sequence[Seen], margin: float) -> float:
    return round(float(np.mean([one.found.confidence < margin for one in seen])), 3)


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    squad = load(arguments.squad)
    asked = squad.questions[:: arguments.every]
    async with inference(arguments.home) as (_, serving):
        vectors = await embed_all(serving, squad, asked)
    here, away = see(squad, asked, vectors, away=False), see(squad, asked, vectors, away=True)

    def part(seen: Sequence[Seen], odd: int, answered: bool) -> list[Seen]:
        return [one for one in seen if one.question.article % 2 == odd and bool(one.question.answers) == answered]

    score = fit_score(part(here, 0, True))
    evidence = fit_evidence(part(here, 0, True), part(here, 0, False), [*part(away, 0, True), *part(away, 0, False)])
    return {
        "fitted": {"SCORE": score.round(2).tolist(), "ANSWERABLE and BIAS": evidence.round(2).tolist()},
        "checked on": {"answerable": len(part(here, 1, True)), "unanswerable": len(part(here, 1, False))},
        "sentences, weights in use": hits(part(here, 1, True)),
        "sentences, weights fitted": hits(part(here, 1, True), score),
        "refused at a margin": {
            f"{margin:g}{' (in use)' if margin == MARGIN else ''}": {
                "answerable (wrongly)": refused(part(here, 1, True), margin),
                "unanswerable": refused(part(here, 1, False), margin),
                "article away": refused(part(away, 1, True), margin),
            }
            for margin in sorted({-2.5, -2.0, -1.75, -1.5, -1.25, -1.0, -0.5, MARGIN})
        },
    }


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench calibration", description=__doc__)
    parser.add_argument("--squad", type=Path, required=True, help="SQuAD 2.0 in its own JSON")
    parser.add_argument("--starters", type=Path, default=Path("build/starters"), help="the starter models' files")
    parser.add_argument("--home", type=Path, default=Path("build/bench-answers"))
    parser.add_argument("--every", type=int, default=2, help="take every n-th question")
    arguments = parser.parse_args(given)
    prepare(arguments.home, arguments.starters)
    print(json.dumps(asyncio.run(_run(arguments)), indent=1))


if __name__ == "__main__":
    main()
