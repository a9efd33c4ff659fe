"""Quoting: by hand-made vectors, and by the real embedder where sense matters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.knowledge import Passage
from craton.core.model import EmbedRequest, ModelInfo
from craton.engines.protocol import EngineSpec
from craton.engines.worker.supervisor import Worker
from craton.knowledge.answering.cues import expected, holds
from craton.knowledge.answering.extracting import MAX_QUOTES, extract
from craton.knowledge.answering.models import Embed
from craton.knowledge.answering.sentences import MAX_SCORED, rarity, sentences_of, shortlist
from craton.knowledge.proficiency import contains, load_probe
from tests.knowledge.answering.world import FERRY, FOUND, WordCounts, passage

pytestmark = pytest.mark.anyio


async def by_words(texts: Sequence[str]) -> list[list[float]]:
    return (await WordCounts("vectors").embed(EmbedRequest("vectors", tuple(texts)))).rows()


async def test_the_sentence_that_holds_the_answer_comes_first() -> None:
    found = await extract("When were the boats built?", FOUND, by_words)
    assert found.quotes[0].sentence.text == "The boats were built in Lindhaven in 1987."
    assert 1 <= len(found.quotes) <= MAX_QUOTES


@given(st.lists(st.text(max_size=120), max_size=5))
@settings(max_examples=60)
async def test_every_sentence_is_verbatim_in_its_passage(texts: list[str]) -> None:
    passages = [passage(text, document=f"d{number}") for number, text in enumerate(texts)]
    for sentence in sentences_of(passages):
        assert passages[sentence.passage].text[sentence.start : sentence.end] == sentence.text
    for found in (await extract("what?", passages, by_words)).quotes:
        assert found.sentence.text in passages[found.sentence.passage].text


async def test_a_sentence_that_two_chunks_share_is_quoted_once() -> None:
    twice = [passage(FERRY, document="d"), passage(FERRY[54:], document="d", start=54)]
    texts = [sentence.text for sentence in sentences_of(twice)]
    assert len(texts) == len(set(texts))


async def test_no_more_than_one_batch_of_sentences_is_embedded_and_the_best_are_in_it() -> None:
    noise = passage(" ".join(f"Filler number {number} is about nothing." for number in range(300)), document="n")
    batches: list[int] = []

    async def counting(texts: Sequence[str]) -> list[list[float]]:
        batches.append(len(texts))
        return await by_words(texts)

    found = await extract("When were the boats built?", [noise, *FOUND], counting)
    assert batches == [MAX_SCORED + 1]
    assert "1987" in found.quotes[0].sentence.text


async def test_nothing_to_read_is_no_answer() -> None:
    assert (await extract("why?", [], by_words)).quotes == ()
    assert (await extract("why?", [passage("  ")], by_words)).quotes == ()


def test_a_short_list_keeps_the_order() -> None:
    every = sentences_of([passage(" ".join(f"Word{number} is here." for number in range(100)))])
    short = shortlist(every, [passage("")], rarity(["word7"], every))
    assert [sentence.start for sentence in short] == sorted(sentence.start for sentence in short)
    assert len(short) == MAX_SCORED


@pytest.mark.parametrize(
    ("question", "kind", "sentence", "held"),
    [
        ("When did it open?", "time", "It opened in 1934.", True),
        ("When did it open?", "time", "It opened late.", False),
        ("In what year was it built?", "time", "Built in 1908.", True),
        ("How many cars are there?", "quantity", "There are six cars.", True),
        ("Who built it?", "name", "It was built by Ann Lee.", True),
        ("Who is Ann Lee?", "name", "Some say that Ann Lee sang.", False),
        ("Where is it?", "place", "It lies in Garrow.", True),
    ],
)
def test_question_words_tell_what_is_asked_for(question: str, kind: str, sentence: str, held: bool) -> None:
    found = expected(question)
    assert found == kind
    assert found is not None
    assert holds(found, question, sentence) is held


def test_other_questions_expect_nothing_in_particular() -> None:
    assert expected("Why is the sky blue?") is None


@pytest.fixture
async def embedder(starter_files: Path) -> AsyncIterator[Embed]:
    folder = starter_files / "all-MiniLM-L6-v2"
    files = {str(path.relative_to(folder)): str(path) for path in folder.rglob("*") if path.is_file()}
    dimensions = json.loads((folder / "config.json").read_text())["hidden_size"]
    info = ModelInfo(id="m", verbs=("embed",), engine="bert", dimensions=dimensions)
    worker = Worker(EngineSpec("bert", "m", info, files, {"threads": 1}))
    await worker.start()

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return (await worker.embed(EmbedRequest("m", tuple(texts), truncate=True))).rows()

    yield embed
    await worker.close()


async def test_with_the_real_embedder_the_probe_is_answered_and_other_questions_are_refused(embedder: Embed) -> None:
    probe = load_probe()
    passages: list[Passage] = probe.passages()
    asked = [(question, number) for question, number in probe.asked() if question.answers][::2]
    right = 0
    for question, number in asked:
        given = [passages[(number + step) % len(passages)] for step in (3, 0, 7)]
        quoted = " ".join(found.sentence.text for found in (await extract(question.question, given, embedder)).quotes)
        right += any(contains(quoted, answer) for answer in question.answers)
    assert right >= 0.9 * len(asked)
    for strange in ("What is the capital of France?", "Why is the sky blue?", "How do I reset my password?"):
        assert not (await extract(strange, passages[:5], embedder)).answered
