"""What every index does, on each of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.core.errors import InvalidRequest
from craton.core.knowledge import Access, Compare, Filter, Metadata
from craton.index.edge import EdgeIndexes
from craton.index.postgres import PostgresIndexes
from craton.index.protocol import Found, Index, Indexes, IndexSpec, Point, Search
from craton.index.qdrant import QdrantIndexes
from tests.index.worlds import DIMENSIONS, TENANT, accesses, admitted, filters, metadata, point, unit, users

pytestmark = pytest.mark.anyio

SPEC = IndexSpec(TENANT, "handbook-1", DIMENSIONS)
ANYTHING = unit(99)[0].tobytes()

Reopen = Callable[[], Indexes]


@pytest.fixture(params=["edge", "postgres", "qdrant"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    """Another look at the same place."""
    if request.param == "edge":
        return lambda: EdgeIndexes(tmp_path / "index")
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return lambda: PostgresIndexes(url)
    server = os.environ.get("CRATON_TEST_QDRANT", "")
    if not server:
        pytest.skip("no Qdrant server: set CRATON_TEST_QDRANT to its URL")
    return lambda: QdrantIndexes(server, httpx.AsyncClient(timeout=60))


@pytest.fixture
async def indexes(reopen: Reopen) -> AsyncIterator[Indexes]:
    opened = reopen()
    await opened.drop(SPEC)
    yield opened
    await opened.close()


@pytest.fixture
async def index(indexes: Indexes) -> Index:
    return await indexes.open(SPEC)


def dense(limit: int = 100, filter: Filter | None = None, user: str = "", vector: bytes = ANYTHING) -> Search:
    return Search(TENANT, limit, vector=vector, filter=filter, user=user)


def lexical(text: str, limit: int = 100, filter: Filter | None = None, user: str = "") -> Search:
    return Search(TENANT, limit, text=text, filter=filter, user=user)


def ids(found: Found) -> tuple[list[int], list[int]]:
    return [hit.id for hit in found.dense], [hit.id for hit in found.lexical]


async def test_a_new_index_is_empty(index: Index) -> None:
    assert await index.count() == 0
    assert await index.search(Search(TENANT, 5, vector=ANYTHING, text="words")) == Found()


async def test_what_was_written_is_found_by_the_next_search(index: Index) -> None:
    await index.upsert([point(1, "rotating the keys"), point(2, "a cat")])
    found = await index.search(Search(TENANT, 5, vector=unit(2)[0].tobytes(), text="how do I rotate a key"))
    assert found.dense[0].id == 2
    assert found.dense[0].score == pytest.approx(1, abs=2e-3)
    assert [hit.id for hit in found.lexical] == [1]
    assert await index.count() == 2


async def test_writing_again_changes_nothing(index: Index) -> None:
    points = [point(number, f"word{number} shared") for number in range(1, 40)]
    await index.upsert(points)
    before = await index.search(Search(TENANT, 50, vector=ANYTHING, text="shared word7"))
    await index.upsert(points)
    await index.upsert(points[:7])
    after = await index.search(Search(TENANT, 50, vector=ANYTHING, text="shared word7"))
    assert await index.count() == 39
    assert ids(after) == ids(before)
    for leg in ("dense", "lexical"):
        scores = [[hit.score for hit in getattr(found, leg)] for found in (before, after)]
        assert scores[0] == pytest.approx(scores[1], rel=0.02)


async def test_a_point_that_is_written_anew_is_replaced(index: Index) -> None:
    await index.upsert([point(1, "old words", {"year": 1.0}, Access(allow=("bob",)))])
    await index.upsert([point(1, "new words", {"month": 2.0})])
    assert ids(await index.search(lexical("old"))) == ([], [])
    assert ids(await index.search(lexical("new"))) == ([], [1])
    assert ids(await index.search(dense(filter=Compare("equals", "year", 1.0)))) == ([], [])
    assert ids(await index.search(dense(filter=Compare("equals", "month", 2.0)))) == ([1], [])


async def test_what_was_deleted_is_not_found_and_deleting_again_is_no_error(index: Index) -> None:
    await index.upsert([point(number) for number in (1, 2, 3)])
    await index.delete([2, 77])
    await index.delete([2])
    assert await index.count() == 2
    found = await index.search(Search(TENANT, 5, vector=ANYTHING, text="words"))
    assert [sorted(leg) for leg in ids(found)] == [[1, 3], [1, 3]]


async def test_an_index_that_is_opened_again_is_the_same(reopen: Reopen, indexes: Indexes) -> None:
    index = await indexes.open(SPEC)
    await index.upsert([point(number, f"word{number}") for number in range(1, 30)])
    await index.delete([5])
    before = await index.search(Search(TENANT, 50, vector=ANYTHING, text="word7"))
    await index.close()
    await indexes.close()
    again = reopen()
    opened = await again.open(SPEC)
    assert await opened.count() == 28
    after = await opened.search(Search(TENANT, 50, vector=ANYTHING, text="word7"))
    assert ids(after) == ids(before)
    await again.close()


async def test_optimising_changes_no_answer(index: Index) -> None:
    await index.upsert([point(number, f"word{number % 5}") for number in range(1, 300)])
    await index.delete(list(range(1, 300, 3)))
    asked = Search(TENANT, 20, vector=ANYTHING, text="word3")
    before = await index.search(asked)
    await index.optimise()
    after = await index.search(asked)
    assert ids(after)[0] == ids(before)[0]
    assert set(ids(after)[1]) <= {number for number in range(1, 300) if number % 3 != 1 and number % 5 == 3}
    assert await index.count() == 199


async def test_the_best_come_first_and_no_more_than_were_asked_for(index: Index) -> None:
    vectors = unit(5, 200)
    await index.upsert([point(n + 1, vector=vectors[n].tobytes()) for n in range(200)])
    wanted = unit(7)[0]
    hits = (await index.search(dense(10, vector=wanted.tobytes()))).dense
    exact = np.argsort(-(vectors @ wanted))[:10] + 1
    assert len(hits) == 10
    assert len({hit.id for hit in hits} & set(exact.tolist())) >= 9  # two that are nearly as near may change places
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len((await index.search(lexical("words", limit=1))).lexical) == 1


async def test_a_rare_word_counts_for_more_than_a_common_one(index: Index) -> None:
    await index.upsert([point(n, "common") for n in range(1, 20)] + [point(20, "rare")])
    assert ids(await index.search(lexical("common rare", limit=1)))[1] == [20]


async def test_texts_may_be_anything(index: Index) -> None:
    await index.upsert([point(1, ""), point(2, "\x00"), point(3, "東京都 Ünïcödé 😀"), point(2**63 - 1, "the of")])
    assert await index.count() == 4
    assert ids(await index.search(lexical("東京")))[1] == [3]
    assert ids(await index.search(lexical("ÜNÏCÖDÉ")))[1] == [3]
    for nothing in ("", "\x00", "the of", "?"):
        assert ids(await index.search(lexical(nothing))) == ([], [])
    assert len((await index.search(dense())).dense) == 4


async def test_a_leg_that_is_not_asked_for_is_not_searched(index: Index) -> None:
    await index.upsert([point(1)])
    assert ids(await index.search(dense())) == ([1], [])
    assert ids(await index.search(lexical("words"))) == ([], [1])
    assert ids(await index.search(Search(TENANT, 5))) == ([], [])


async def test_what_makes_no_sense_is_refused(index: Index, indexes: Indexes) -> None:
    with pytest.raises(InvalidRequest):
        await index.upsert([point(1, vector=b"\x00" * 12)])
    with pytest.raises(InvalidRequest):
        await index.upsert([point(0)])
    with pytest.raises(InvalidRequest):
        await index.search(dense(0))
    with pytest.raises(InvalidRequest):
        await index.search(dense(vector=b"1234"))
    for name in ("", "../up", "A", "a" * 65):
        with pytest.raises(InvalidRequest):
            await indexes.open(IndexSpec(TENANT, name, DIMENSIONS))
    assert await index.count() == 0


async def test_another_tenant_finds_nothing(index: Index, indexes: Indexes) -> None:
    await index.upsert([point(1)])
    assert await index.search(Search("other", 5, vector=ANYTHING, text="words")) == Found()
    theirs = await indexes.open(IndexSpec("other", SPEC.name, DIMENSIONS))
    try:
        assert await theirs.count() == 0
        await theirs.upsert([point(2)])
        assert ids(await index.search(dense())) == ([1], [])
        assert await theirs.search(dense()) == Found()
    finally:
        await indexes.drop(IndexSpec("other", SPEC.name, DIMENSIONS))
    assert await index.count() == 1


async def test_dropping_removes_everything_and_may_be_repeated(indexes: Indexes) -> None:
    index = await indexes.open(SPEC)
    await index.upsert([point(1)])
    await indexes.drop(SPEC)
    await indexes.drop(SPEC)
    again = await indexes.open(SPEC)
    assert await again.count() == 0
    await again.upsert([point(2)])
    assert ids(await again.search(dense())) == ([2], [])


async def test_many_indexes_do_not_mix(indexes: Indexes) -> None:
    specs = [IndexSpec(TENANT, f"many-{number}", DIMENSIONS) for number in range(20)]
    opened = [await indexes.open(spec) for spec in specs]
    await asyncio.gather(*(index.upsert([point(n + 1)]) for n, index in enumerate(opened)))
    found = await asyncio.gather(*(index.search(dense()) for index in opened))
    assert [ids(one)[0] for one in found] == [[n + 1] for n in range(20)]
    await asyncio.gather(*(indexes.drop(spec) for spec in specs))


async def test_searches_and_writes_at_once_all_succeed(index: Index) -> None:
    async def write(start: int) -> None:
        await index.upsert([point(start + n) for n in range(100)])

    async def ask() -> None:
        for _ in range(10):
            assert len((await index.search(dense(10))).dense) <= 10

    await asyncio.gather(*(write(1 + 100 * n) for n in range(5)), *(ask() for _ in range(5)), index.optimise())
    assert await index.count() == 500


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_every_index_finds_what_the_plain_evaluator_admits(indexes: Indexes, data: st.DataObject) -> None:
    await _agree(indexes, data)


async def _agree(indexes: Indexes, data: st.DataObject) -> None:
    """One world, many questions: opening an index is dear, asking is not."""
    index = await indexes.open(SPEC)
    world: list[tuple[Metadata, Access]] = data.draw(st.lists(st.tuples(metadata, accesses), min_size=40, max_size=40))
    points = [point(n + 1, metadata=fields, access=access) for n, (fields, access) in enumerate(world)]
    await index.upsert(points)
    for round_ in range(2):
        for _ in range(60):
            wanted, user = data.draw(filters), data.draw(users)
            found = await index.search(Search(TENANT, 100, vector=ANYTHING, text="words", filter=wanted, user=user))
            expected = admitted(points, wanted, user)
            assert {hit.id for hit in found.dense} == expected, (wanted, user)
            assert {hit.id for hit in found.lexical} == expected, (wanted, user)
        if not round_:
            await index.optimise()


@pytest.mark.parametrize("operator", ["equals", "in", "startsWith", "stringContains", "greaterThan", "notEquals"])
async def test_a_filter_that_few_pass_still_finds_them_all(index: Index, operator: str) -> None:
    points: list[Point] = [point(n, metadata={"name": f"document {n:05}", "part": float(n)}) for n in range(1, 1200)]
    await index.upsert(points)
    value = {"in": ("document 00700", "document 00900"), "startsWith": "document 0070", "greaterThan": "document 01190"}
    wanted = Compare(operator, "name", value.get(operator, "document 00700"))  # type: ignore[arg-type]
    found = await index.search(Search(TENANT, 2000, vector=ANYTHING, text="words", filter=wanted))
    expected = admitted(points, wanted, "")
    assert {hit.id for hit in found.dense} == {hit.id for hit in found.lexical} == expected
