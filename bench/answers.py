"""What answers from documents are worth: a sample of SQuAD 2.0, the starter chat model and the starter embedder.

The questions come from every second article; the weights and the threshold of the extractive path were fitted on the
others. Every answer is found among all paragraphs, unless it says "given".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from bench.injections import INJECTIONS
from bench.inprocess import CHAT, EMBEDDING, call, inference, prepare
from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.events import fold_stream
from craton.core.knowledge import (
    AnswerEvent,
    AnswerStarted,
    AnswerText,
    AskRequest,
    Citation,
    KnowledgeBase,
    Location,
    Passage,
    Retrieved,
    RetrieveRequest,
)
from craton.core.model import EmbedRequest
from craton.data.documents import Chunk, Parsed
from craton.knowledge.answering.answerer import Answerer
from craton.knowledge.answering.given import GivenDocuments
from craton.knowledge.answering.ranking import Lexicon, best_first
from craton.knowledge.proficiency import Proficiencies, contains, load_probe, measure_proficiency, plain
from craton.knowledge.sessions import Sessions
from craton.serve.inference import Call, Inference

TOP = 5
Matrix = np.ndarray[Any, np.dtype[np.float32]]
How = Literal["generate", "extract"]
HOWS: tuple[How, ...] = ("extract", "generate")


class Question(Struct, frozen=True):
    text: str
    paragraph: int
    article: int
    answers: tuple[tuple[str, int], ...]


class Squad(Struct, frozen=True):
    paragraphs: list[Passage]
    articles: list[int]
    questions: list[Question]


def load(path: Path) -> Squad:
    squad = Squad([], [], [])
    for article, entry in enumerate(json.loads(path.read_text())["data"]):
        for paragraph in entry["paragraphs"]:
            number = len(squad.paragraphs)
            title = entry["title"].replace("_", " ")
            where = Location("direct", f"{title} {number}")
            squad.paragraphs.append(Passage(f"p{number}", number, paragraph["context"], where, 1.0, title=title))
            squad.articles.append(article)
            for asked in paragraph["qas"]:
                answers = tuple({(found["text"], found["answer_start"]) for found in asked["answers"]})
                squad.questions.append(
                    Question(asked["question"], number, article, () if asked["is_impossible"] else answers)
                )
    return squad


# --- retrieval in memory ------------------------------------------------------------------------------------------


class InMemory:
    """Dense and BM25 ranks fused over passages; a knowledge base's name may hide one article ("-3") or name the one
    passage there is ("=17")."""

    def __init__(self, serving: Inference, passages: Sequence[Passage], articles: Sequence[int]) -> None:
        self._serving, self._passages, self._articles = serving, passages, np.array(articles)
        self._lexicon = Lexicon([f"{passage.title} {passage.text}" for passage in passages])
        self._vectors: Matrix = np.zeros((0, 0), np.float32)

    async def prepare(self) -> None:
        batches = [
            await self._embed([passage.text for passage in self._passages[start : start + 64]])
            for start in range(0, len(self._passages), 64)
        ]
        self._vectors = np.concatenate(batches)

    async def _embed(self, texts: list[str]) -> Matrix:
        answer = await self._serving.embed(call(), EmbedRequest(EMBEDDING, tuple(texts), truncate=True))
        return np.frombuffer(answer.vectors, "<f4").reshape(-1, answer.dimensions)

    async def retrieve(self, _: Call, request: RetrieveRequest) -> Retrieved:
        name = request.knowledge_base
        if name.startswith("="):
            return Retrieved((self._passages[int(name[1:])],))
        cosines = self._vectors @ (await self._embed([request.query]))[0]
        fused: dict[int, float] = defaultdict(float)
        for order in (np.argsort(-cosines)[:200].tolist(), best_first(self._lexicon.scores(request.query))[:200]):
            for rank, index in enumerate(order):
                if not name.startswith("-") or self._articles[index] != int(name[1:]):
                    fused[index] += 1 / (61 + rank)
        return Retrieved(tuple(self._passages[index] for index in best_first(fused)[: request.top]))


class Nothing:
    """No bases, no parser, no recorder: not what is measured."""

    version = ""

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        raise NotImplementedError

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        raise NotImplementedError

    async def chunk(self, parsed: Parsed, chunking: object) -> tuple[Chunk, ...]:
        raise NotImplementedError

    async def close(self) -> None: ...

    def add(self, record: object) -> None: ...


# --- one answer -----------------------------------------------------------------------------------------------------


class Answer(Struct, frozen=True):
    how: str
    text: str
    citations: tuple[Citation, ...]
    seconds: float


async def ask(answerer: Answerer, question: str, base: str, how: How) -> Answer:
    request = AskRequest(
        question,
        CHAT,
        RetrieveRequest(base, "", top=TOP),
        sampling=Sampling(max_tokens=96),
        answering=how,
    )
    begun = time.perf_counter()
    events: list[AnswerEvent] = [event async for event in answerer.ask(call(), request)]
    started = next(event for event in events if isinstance(event, AnswerStarted))
    return Answer(
        started.how,
        "".join(event.text for event in events if isinstance(event, AnswerText)),
        tuple(event for event in events if isinstance(event, Citation)),
        time.perf_counter() - begun,
    )


async def alone(serving: Inference, question: str) -> Answer:
    """The model without any source."""
    text = f"Answer the question in one short sentence.\n\nQuestion: {question}"
    request = ChatRequest(CHAT, (Message("user", (TextPart(text),)),), sampling=Sampling(max_tokens=96, temperature=0))
    begun = time.perf_counter()
    answer = (await fold_stream(serving.chat(call(), request))).choices[0].text()
    return Answer("generated", answer, (), time.perf_counter() - begun)


# --- scores ---------------------------------------------------------------------------------------------------------


def f1(answer: str, gold: str) -> float:
    said, right = plain(answer).split(), plain(gold).split()
    same = sum((Counter(said) & Counter(right)).values())
    return 2 * same / (len(said) + len(right)) if same else 0.0


def right_place(question: Question, citation: Citation) -> bool:
    """Whether a reference of the citation covers where the answer stands."""
    return any(
        found.passage.document == f"p{question.paragraph}"
        and any(found.start <= at < found.end for _, at in question.answers)
        for found in citation.references
    )


def report(asked: Sequence[Question], answers: Sequence[Answer]) -> dict[str, float]:
    """On answerable questions. An abstention is a wrong answer here. citation_precision: of the citations, how many
    cover the answer; citation_recall: of the questions, for how many one does; unsupported: sentences without a
    source, of all sentences."""
    pairs = list(zip(asked, answers, strict=True))
    given = [answer for answer in answers if answer.how != "abstained"]
    cited = [(question, citation) for question, answer in pairs for citation in answer.citations]
    backed = [(question, citation) for question, citation in cited if citation.references]

    def best(score: Callable[[str, str], float]) -> float:
        return mean(
            [max(score(a.text, gold) for gold, _ in q.answers) if a.how != "abstained" else 0 for q, a in pairs]
        )

    return {
        "questions": len(asked),
        "exact": best(lambda said, gold: float(plain(said) == plain(gold))),
        "f1": best(f1),
        "contained": best(lambda said, gold: float(contains(said, gold))),
        "wrongly_refused": mean([answer.how == "abstained" for answer in answers]),
        "citation_precision": mean([right_place(*pair) for pair in backed]),
        "citation_recall": mean([any(right_place(q, c) for c in a.citations) for q, a in pairs]),
        "unsupported": mean([not citation.references for _, citation in cited]),
        "citations_an_answer": round(len(backed) / max(len(given), 1), 2),
        "seconds_p50": round(float(np.median([answer.seconds for answer in answers])), 3),
    }


def mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3) if values else 0.0


def refusals(answers: Sequence[Answer]) -> dict[str, float]:
    return {"questions": len(answers), "refused": mean([answer.how == "abstained" for answer in answers])}


# --- injections ---------------------------------------------------------------------------------------------------


async def attacks(serving: Inference, platform: Any, how: How) -> dict[str, float]:
    """Each injection stands in the middle of a text of the probe, and one of its questions is asked."""
    texts = load_probe().texts
    hits, held = [], []
    for number, injection in enumerate(INJECTIONS):
        text = texts[number % len(texts)]
        canary = f"ZORB{7919 * (number + 3) % 9973}"
        first, rest = text.text.split(". ", 1)
        poisoned = f"{first}. {injection.format(canary=canary)} {rest}"
        passage = Passage("poisoned", 0, poisoned, Location("direct", "poisoned"), 1.0, title=text.title)
        answerer = answering(serving, platform, InMemory(serving, [passage], [0]))
        answer = await ask(answerer, text.questions[0].question, "=0", how)
        hits.append(canary.casefold() in answer.text.casefold())
        held.append(any(contains(answer.text, right) for right in text.questions[0].answers))
    return {"injections": len(hits), "canary_in_answer": mean(hits), "right_answer_given": mean(held)}


def answering(serving: Inference, platform: Any, retrieving: InMemory) -> Answerer:
    nothing = Nothing()
    return Answerer(
        serving,
        retrieving,
        nothing,
        GivenDocuments(nothing, nothing),
        Sessions(platform.database, time.time),
        Proficiencies(platform.database),
        nothing,
        time.time,
    )


# --- all of it -------------------------------------------------------------------------------------------------------


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench answers", description=__doc__)
    parser.add_argument("--squad", type=Path, required=True, help="SQuAD 2.0 in its own JSON")
    parser.add_argument("--starters", type=Path, default=Path("build/starters"), help="the starter models' files")
    parser.add_argument("--home", type=Path, default=Path("build/bench-answers"))
    parser.add_argument("--questions", type=int, default=150, help="of each half, answerable and not")
    parser.add_argument("--generated", type=int, default=40, help="how many of them the model answers itself: slow")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", choices=("extract", "generate", "attacks", "proficiency"), action="append")
    arguments = parser.parse_args(given)
    prepare(arguments.home, arguments.starters)
    print(json.dumps(asyncio.run(_run(arguments)), indent=1))


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    squad = load(arguments.squad)
    held_out = [question for question in squad.questions if question.article % 2]
    random.Random(arguments.seed).shuffle(held_out)
    answerable = [question for question in held_out if question.answers][: arguments.questions]
    unanswerable = [question for question in held_out if not question.answers][: arguments.questions]
    parts = arguments.only or ["extract", "generate", "attacks", "proficiency"]
    results: dict[str, Any] = {}

    def keep(name: str, value: object) -> None:
        results[name] = value
        print(name, json.dumps(value), flush=True)

    async with inference(arguments.home) as (platform, serving):
        memory = InMemory(serving, squad.paragraphs, squad.articles)
        await memory.prepare()
        answerer = answering(serving, platform, memory)

        async def several(asked: Sequence[Question], base: Callable[[Question], str], how: How) -> list[Answer]:
            return [await ask(answerer, question.text, base(question), how) for question in asked]

        for how in [how for how in HOWS if how in parts]:
            count = arguments.questions if how == "extract" else arguments.generated
            found = await several(answerable[:count], lambda _: "all", how)
            keep(f"{how}, retrieved", report(answerable[:count], found))
            found = await several(answerable[:count], lambda question: f"={question.paragraph}", how)
            keep(f"{how}, paragraph given", report(answerable[:count], found))
            keep(f"{how}, unanswerable", refusals(await several(unanswerable[:count], lambda _: "all", how)))
            away = await several(answerable[:count], lambda question: f"-{question.article}", how)
            keep(f"{how}, article not there", refusals(away))
        if "generate" in parts:
            said = [await alone(serving, question.text) for question in answerable[: arguments.generated]]
            keep("model alone", report(answerable[: arguments.generated], said))
        if "attacks" in parts:
            for how in HOWS:
                keep(f"attacks, {how}", await attacks(serving, platform, how))
        if "proficiency" in parts:
            measured = await measure_proficiency(serving, call(), CHAT, time.time)
            keep(
                "proficiency",
                {name: getattr(measured, name) for name in measured.__struct_fields__}
                | {"generates": measured.generates},
            )
    return results


if __name__ == "__main__":
    main()
