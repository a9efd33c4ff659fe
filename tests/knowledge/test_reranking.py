from __future__ import annotations

import pytest

from craton.core.errors import InvalidRequest, NotFound, TooLarge, Unsupported
from craton.knowledge.reranking import MAX_TEXT, MAX_TEXTS, Reranker
from craton.serve.inference import Call
from tests.knowledge.retrieval.shelf import ACME, WordVectors

pytestmark = pytest.mark.anyio
CALL = Call(ACME, "request", "test", "Rerank")

TEXTS = [
    "The harbour ferry leaves every forty minutes.",
    "Keys are rotated every ninety days. The clerk of the week does it. Nobody else may.",
    "Bread is baked before dawn.",
]


@pytest.fixture
def reranker() -> Reranker:
    return Reranker(WordVectors())


async def test_the_text_that_answers_comes_first(reranker: Reranker) -> None:
    ranked = await reranker.rank(CALL, "vectors", "How often are keys rotated?", TEXTS, None)
    assert ranked[0].index == 1
    assert sorted(one.index for one in ranked) == [0, 1, 2]
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


async def test_the_order_of_the_texts_does_not_count(reranker: Reranker) -> None:
    forward = await reranker.rank(CALL, "vectors", "keys rotated", TEXTS, None)
    backward = await reranker.rank(CALL, "vectors", "keys rotated", TEXTS[::-1], None)
    assert {TEXTS[one.index]: one.score for one in forward} == pytest.approx(
        {TEXTS[::-1][one.index]: one.score for one in backward}
    )


async def test_top_keeps_the_best(reranker: Reranker) -> None:
    whole = await reranker.rank(CALL, "vectors", "keys", TEXTS, None)
    assert await reranker.rank(CALL, "vectors", "keys", TEXTS, 2) == whole[:2]
    assert await reranker.rank(CALL, "vectors", "keys", TEXTS, 99) == whole


async def test_blank_and_very_long_texts_are_scored(reranker: Reranker) -> None:
    texts = ["", "  \n", "word " * 15_000, "x" * MAX_TEXT, "Keys are rotated."]
    ranked = await reranker.rank(CALL, "vectors", "keys rotated", texts, None)
    assert ranked[0].index == 4
    assert {one.index: one.score for one in ranked}[0] == 0.0


async def test_as_many_texts_as_allowed_are_scored_in_batches_that_have_names_of_their_own() -> None:
    embedders = WordVectors()
    ranked = await Reranker(embedders).rank(CALL, "vectors", "keys", ["Keys. Locks are there too."] * MAX_TEXTS, None)
    assert [one.index for one in ranked] == list(range(MAX_TEXTS))
    assert len({call.request_id for call in embedders.calls}) == len(embedders.calls) > 1


async def test_no_texts_give_no_scores(reranker: Reranker) -> None:
    assert await reranker.rank(CALL, "vectors", "keys", [], None) == []


async def test_what_is_too_much_is_refused(reranker: Reranker) -> None:
    for query, texts in (("q" * 20_001, TEXTS), ("q", ["t"] * (MAX_TEXTS + 1)), ("q", ["t" * (MAX_TEXT + 1)])):
        with pytest.raises(TooLarge):
            await reranker.rank(CALL, "vectors", query, texts, None)
    with pytest.raises(TooLarge):
        await reranker.rank(CALL, "vectors", "q", ["t" * 100_000] * 41, None)


@pytest.mark.parametrize(
    ("query", "texts", "top"), [(" ", TEXTS, None), ("\ud800", TEXTS, None), ("q", ["\ud800"], None), ("q", TEXTS, 0)]
)
async def test_what_makes_no_sense_is_refused(
    reranker: Reranker, query: str, texts: list[str], top: int | None
) -> None:
    with pytest.raises(InvalidRequest):
        await reranker.rank(CALL, "vectors", query, texts, top)


async def test_only_models_that_can_score_are_asked(reranker: Reranker) -> None:
    with pytest.raises(Unsupported):
        await reranker.rank(CALL, "writer", "q", TEXTS, None)
    with pytest.raises(NotFound):
        await reranker.rank(CALL, "nobody", "q", TEXTS, None)
