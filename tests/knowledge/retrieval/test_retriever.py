from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from craton.core.errors import Conflict, InvalidRequest, NotFound, Throttled, TooLarge, Unsupported
from craton.core.knowledge import Access, Compare, Passage, Reranking, Retrieved
from craton.index.protocol import Index
from craton.knowledge import tables
from craton.knowledge.ranking.second import LOOKED
from craton.knowledge.reranking import Reranker
from craton.knowledge.retrieval.candidates import DEPTH, DEPTHS
from craton.knowledge.retrieval.retriever import Retriever
from craton.store.database import Database
from tests.knowledge.retrieval.shelf import BASE, OTHER, ExactIndex, Rules, Shelf
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio

KEYS = "A signing key is rotated every ninety days.\nThe old key stays valid for a fortnight."
FERRY = "The harbour ferry leaves every forty minutes.\nA ticket costs three crowns."
BREAD = "Bread is baked before dawn in the old town."


@pytest.fixture
def shelf(database: Database) -> Shelf:
    upgrade(database)
    return Shelf(database)


def names(found: Retrieved) -> list[str]:
    return [passage.document for passage in found.passages]


async def test_the_passage_that_answers_comes_first_with_everything_that_is_known_of_it(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS, metadata={"year": 2024.0})
    await shelf.put("ferry", FERRY)
    found = await shelf.ask("How often is a signing key rotated?")
    first = found.passages[0]
    assert (first.document, first.text, first.title, first.metadata) == ("keys", KEYS, "Keys", {"year": 2024.0})
    assert (first.location.uri, first.knowledge_base, first.source) == ("keys.txt", "KB", "S")
    assert (first.start, first.end) == (0, len(KEYS))
    assert found.queries == ("How often is a signing key rotated?",)
    assert found.cursor == ""


async def test_a_chunk_is_found_once_with_the_spans_of_all_its_pieces_that_were_hit(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    (only,) = (await shelf.ask("the key")).passages
    assert [only.text[start:end] for start, end in only.matched] == KEYS.split("\n")


async def test_scores_lie_between_0_and_1_and_fall(shelf: Shelf) -> None:
    for name, text in (("keys", KEYS), ("ferry", FERRY), ("bread", BREAD)):
        await shelf.put(name, text)
    for mode in ("hybrid", "semantic", None):
        scores = [passage.score for passage in (await shelf.ask("old key", mode=mode)).passages]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


async def test_semantic_mode_leaves_the_lexical_leg_out(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    await shelf.ask("key", mode="semantic")
    await shelf.ask("key")
    semantic, hybrid = shelf.index.searches
    assert (semantic.text, hybrid.text) == (None, "key")
    assert semantic.vector is not None


@pytest.mark.parametrize("query", ["🦀🦀🦀", "the of and", "?!", "e\u0301\u200b東京", "a" * 20_000, "x\x00y"])
async def test_strange_questions_are_answered(shelf: Shelf, query: str) -> None:
    await shelf.put("keys", KEYS)
    assert names(await shelf.ask(query)) == ["keys"]


@pytest.mark.parametrize(
    ("query", "error"), [("", InvalidRequest), (" \n", InvalidRequest), ("\ud800", InvalidRequest)]
)
async def test_questions_that_ask_nothing_are_refused(shelf: Shelf, query: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await shelf.ask(query)


async def test_a_question_of_a_megabyte_is_too_large(shelf: Shelf) -> None:
    with pytest.raises(TooLarge):
        await shelf.ask("key " * 250_000)


@pytest.mark.parametrize("more", [{"top": 0}, {"top": 101}, {"reranking": Reranking("vectors", 0)}])
async def test_impossible_numbers_of_results_are_refused(shelf: Shelf, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await shelf.ask("key", **more)


async def test_an_empty_base_answers_with_nothing(shelf: Shelf) -> None:
    assert await shelf.ask("key") == Retrieved((), "", ("key",))


async def test_a_filter_on_a_field_that_no_document_has_finds_nothing(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    assert names(await shelf.ask("key", filter=Compare("equals", "absent", "x"))) == []
    assert names(await shelf.ask("key", filter=Compare("notEquals", "absent", "x"))) == ["keys"]


async def test_what_the_rows_deny_is_not_shown_even_when_the_index_gives_it(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS, metadata={"team": "red"}, access=Access(allow=("ann",)))
    leaky = {
        number: replace(point, access=Access(), metadata={"team": "blue"})
        for number, point in shelf.index.points.items()
    }
    shelf.index.points = leaky
    assert names(await shelf.ask("key")) == []
    assert names(await shelf.ask("key", user="bob")) == []
    assert names(await shelf.ask("key", user="ann")) == ["keys"]
    assert names(await shelf.ask("key", user="ann", filter=Compare("equals", "team", "blue"))) == []


async def test_only_the_current_generation_is_shown(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    await shelf.put("keys", "A key is rotated every day now.", generation=2, current=False)
    assert [passage.text for passage in (await shelf.ask("key rotated")).passages] == [KEYS]
    await shelf.put("keys", "A key is rotated weekly now.", generation=3)
    assert [passage.text for passage in (await shelf.ask("key rotated")).passages] == ["A key is rotated weekly now."]


async def test_what_nobody_sees_yet_takes_nobodys_place(shelf: Shelf) -> None:
    """An ingestion that is under way has written more pieces than a search asks for, each nearer to the question."""
    await shelf.put("keys", KEYS)
    await shelf.put("ferry", *(f"key {number}" for number in range(DEPTH + 50)), current=False, generation=2)
    assert names(await shelf.ask("key")) == ["keys"]
    assert [search.limit for search in shelf.index.searches] == [DEPTH, DEPTHS[1]]


async def test_a_document_that_is_being_deleted_is_not_shown(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)

    def mark() -> None:
        with shelf.database.write() as connection:
            connection.execute(update(tables.documents).values(status="deleting"))

    await asyncio.to_thread(mark)
    assert names(await shelf.ask("key")) == []


async def test_rows_of_another_tenant_are_not_joined(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS, tenant="other")
    assert names(await shelf.ask("key")) == []
    with pytest.raises(NotFound):
        await shelf.ask("key", caller=OTHER)


async def test_copies_are_shown_once(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    await shelf.put("mirror", KEYS.upper().replace(".", " !"))
    await shelf.put("ferry", FERRY)
    assert names(await shelf.ask("signing key")) == ["keys", "ferry"]


async def test_pages_together_give_each_result_once_in_the_order_of_one_large_page(shelf: Shelf) -> None:
    for number in range(23):
        await shelf.put(f"d{number}", f"Key number {number} opens door {number * 7 % 5} of house {number // 3}.")
    await shelf.put("copy", "Key number 3 opens door 1 of house 1.")
    whole = await shelf.ask("which key opens door 3", top=100)
    assert len(whole.passages) == 23
    assert whole.cursor == ""
    paged: list[Passage] = []
    cursor = ""
    for _ in range(10):
        page = await shelf.ask("which key opens door 3", top=5, cursor=cursor)
        paged += page.passages
        cursor = page.cursor
        if not cursor:
            break
    assert tuple(paged) == whole.passages


async def test_the_border_of_the_second_look_is_not_felt_in_pages(shelf: Shelf) -> None:
    for number in range(2 * LOOKED):
        noise = " ".join(f"w{number * k % 17}" for k in range(number % 9))
        await shelf.put(f"d{number}", f"Key {noise} opens. Door {number % 4} of the house {noise}.")
    whole = await shelf.ask("which key opens door 3 of house", top=100)
    scores = [passage.score for passage in whole.passages]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for size in (7, LOOKED, LOOKED + 1):
        paged: list[Passage] = []
        cursor = ""
        while not paged or cursor:
            page = await shelf.ask("which key opens door 3 of house", top=size, cursor=cursor)
            paged += page.passages
            cursor = page.cursor
        assert tuple(paged) == whole.passages


async def test_of_two_that_have_all_words_the_one_that_has_them_in_one_sentence_comes_first(shelf: Shelf) -> None:
    await shelf.put("apart", "The ferry crosses the harbour daily. A ticket is kept for years in the archive.")
    await shelf.put("together", "The ferry ticket is kept daily. The harbour crosses years for the archive.")
    assert names(await shelf.ask("ferry ticket"))[0] == "together"


async def test_a_cursor_is_good_for_its_own_question_and_index_only(shelf: Shelf) -> None:
    for number in range(4):
        await shelf.put(f"d{number}", f"Key number {number}.")
    cursor = (await shelf.ask("key", top=2)).cursor
    assert cursor
    assert len((await shelf.ask("key", top=1, cursor=cursor)).passages) == 1
    others: tuple[dict[str, Any], ...] = (
        {"mode": "semantic"},
        {"user": "ann"},
        {"filter": Compare("notEquals", "a", "b")},
    )
    for more in others:
        with pytest.raises(InvalidRequest):
            await shelf.ask("key", top=2, cursor=cursor, **more)
    for query, given in (("lock", cursor), ("key", "nonsense"), ("key", cursor[:-4] + "AAAA"), ("key", "é" * 9)):
        with pytest.raises(InvalidRequest):
            await shelf.ask(query, top=2, cursor=given)

    def rebuilt() -> None:
        with shelf.database.write() as connection:
            connection.execute(update(tables.bases).values(epoch=2))

    await asyncio.to_thread(rebuilt)
    with pytest.raises(InvalidRequest, match="built again"):
        await shelf.ask("key", top=2, cursor=cursor)


async def test_another_revision_of_the_embedder_is_a_conflict(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    shelf.embedders.revision = "r2"
    with pytest.raises(Conflict, match="r1"):
        await shelf.ask("key")


async def test_a_damaged_index_is_given_up_and_the_answer_waits_until_another_one_is_filled(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    lost = shelf.index
    lost.damaged = True
    with pytest.raises(Throttled, match="built again") as raised:
        await shelf.ask("key")
    assert raised.value.retry_after > 0
    assert shelf.lost == [lost]
    with pytest.raises(Throttled):
        await shelf.ask("key")
    await shelf.index.upsert(list(lost.points.values()))
    await asyncio.to_thread(shelf.mark, max(lost.points))
    assert names(await shelf.ask("key")) == ["keys"]
    assert shelf.lost == [lost]


async def test_an_index_that_was_replaced_meanwhile_is_asked_at_once(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    lost = shelf.index
    lost.damaged = True

    async def replaced(tenant: str, base: str, index: Index) -> None:
        shelf.index = ExactIndex()
        await shelf.index.upsert(list(lost.points.values()))

    rules, ranking = Rules(), Reranker(shelf.embedders)

    async def opened(tenant: str, base: str) -> ExactIndex:
        return shelf.index

    shelf.retriever = Retriever(shelf.database, shelf.bases, shelf.embedders, opened, replaced, ranking, rules)
    assert names(await shelf.ask("key")) == ["keys"]


async def test_what_an_ingestion_has_written_and_nobody_sees_yet_keeps_nobody_waiting(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    indexed = max(shelf.index.points)
    await shelf.put("keys", "A key is rotated every day now.", generation=2, current=False)
    await asyncio.to_thread(shelf.mark, indexed)
    assert names(await shelf.ask("key")) == ["keys"]


async def test_a_base_over_sql_is_refused_where_none_is_configured(shelf: Shelf) -> None:
    shelf.bases.all["acme", "KB"] = replace(BASE, kind="sql")
    with pytest.raises(Unsupported):
        await shelf.ask("key")


async def test_a_base_that_is_being_deleted_is_gone(shelf: Shelf) -> None:
    shelf.bases.all["acme", "KB"] = replace(BASE, status="deleting")
    with pytest.raises(NotFound):
        await shelf.ask("key")


async def test_reranking_keeps_what_was_found_and_gives_it_the_models_order(shelf: Shelf) -> None:
    for number in range(12):
        await shelf.put(f"d{number}", f"Key number {number} opens {'a door ' * (number % 4)} and nothing else.")
    plain = await shelf.ask("key door", top=12)
    ranked = await shelf.ask("key door", top=12, reranking=Reranking("vectors"))
    assert sorted(names(ranked)) == sorted(names(plain))
    scores = [passage.score for passage in ranked.passages]
    assert scores == sorted(scores, reverse=True)
    best = await shelf.ask("key door", top=12, reranking=Reranking("vectors", 3))
    assert best.passages == ranked.passages[:3]
    assert best.cursor == ""
    first = await shelf.ask("key door", top=5, reranking=Reranking("vectors"))
    second = await shelf.ask("key door", top=7, reranking=Reranking("vectors"), cursor=first.cursor)
    assert first.passages + second.passages == ranked.passages
    assert {call.request_id for call in shelf.embedders.calls} >= {"request", "request.rerank"}


async def test_a_model_that_cannot_score_is_refused_as_a_reranker(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    with pytest.raises(Unsupported):
        await shelf.ask("key", reranking=Reranking("writer"))


async def test_a_double_question_finds_the_answers_to_both(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    await shelf.put("ferry", FERRY)
    await shelf.put("bread", BREAD)
    found = await shelf.ask("How often is a signing key rotated and what does a ticket cost?", decompose=True, top=2)
    assert sorted(names(found)) == ["ferry", "keys"]
    assert found.queries[1:] == ("How often is a signing key rotated", "what does a ticket cost?")
    assert len(shelf.index.searches) == 3


async def test_a_simple_question_is_searched_for_once_even_when_it_may_be_split(shelf: Shelf) -> None:
    await shelf.put("keys", KEYS)
    assert (await shelf.ask("key", decompose=True)).queries == ("key",)
    assert len(shelf.index.searches) == 1
