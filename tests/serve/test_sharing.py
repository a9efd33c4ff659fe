"""Models that share a worker: one more starts another with all of them, and the first finishes what it has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import pytest

from craton.core.errors import CratonError, Damaged, ModelUnavailable
from craton.core.model import ModelInfo
from craton.engines.protocol import Engine
from craton.serve.failures import LOAD_FAILURE_MEMORY
from craton.serve.pool import Pool, PoolLimits
from craton.serve.target import Overlay, Target
from tests.serve.test_pool import CountingEcho

pytestmark = pytest.mark.anyio

BASE = 100  # bytes of the worker with its first adapter
OWN = 10  # of each further one


def target(name: str, home: str = "base") -> Target:
    return Target(name, ModelInfo(id=name, verbs=("chat",), engine="llama_cpp"), home=home, overlay=Overlay({}, OWN))


class Sharer:
    """A loader of engines for several: what it was asked for, and whom it refuses, or dies of."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], list[str]]] = []
        self.engines: list[CountingEcho] = []
        self.refuses: set[str] = set()
        self.dies_of: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def share(
        self, targets: Sequence[Target], proven: Collection[str]
    ) -> tuple[Engine, Mapping[str, CratonError]]:
        keys = [it.key for it in targets]
        self.asked.append((keys, list(proven)))
        await self.gate.wait()
        if self.dies_of & set(keys):
            raise ModelUnavailable("base", "it died")
        self.engines.append(CountingEcho("base"))
        return self.engines[-1], {key: Damaged(key, "broken") for key in keys if key in self.refuses}


async def no_load(_: Target) -> Engine:
    raise AssertionError


def make(sharer: Sharer, memory: int = 1000, now: list[float] | None = None) -> Pool:
    clock = now or [0.0]
    return Pool(no_load, lambda _: BASE, PoolLimits(memory), lambda: clock[0], share=sharer.share)


async def use(pool: Pool, *names: str) -> None:
    for name in names:
        async with pool.use(target(name)):
            pass


async def test_one_more_comes_with_those_before_it_who_are_not_proven_again() -> None:
    sharer = Sharer()
    pool = make(sharer)
    await use(pool, "a", "b", "a", "b")
    assert sharer.asked == [(["a"], []), (["b", "a"], ["a"])]
    (loaded,) = pool.loaded()
    assert (set(loaded.members), loaded.bytes_needed) == ({"a", "b"}, BASE + OWN)
    assert [engine.closed for engine in sharer.engines] == [True, False]


async def test_all_that_are_asked_for_while_one_loads_come_together() -> None:
    sharer = Sharer()
    pool = make(sharer)
    sharer.gate.clear()
    tasks = [asyncio.create_task(use(pool, name)) for name in ("a", "b", "c", "b", "a")]
    await asyncio.sleep(0.01)
    sharer.gate.set()
    await asyncio.gather(*tasks)
    assert [sorted(keys) for keys, _ in sharer.asked] == [["a", "b", "c"]]


async def test_who_uses_the_old_worker_finishes_there_and_its_memory_counts_until_then() -> None:
    sharer, now = Sharer(), [0.0]
    pool = make(sharer, memory=2 * BASE + OWN, now=now)
    async with pool.use(target("a")) as first:
        async with pool.use(target("b")) as second:
            assert second.engine is not first.engine
            assert first.finishing
            assert len(pool.loaded()) == 2
            with pytest.raises(ModelUnavailable, match="in use"):
                await use(pool, "c")
        async with pool.use(target("a")) as again:
            assert again.engine is second.engine
        assert not sharer.engines[0].closed
    await asyncio.sleep(0)
    assert [engine.closed for engine in sharer.engines] == [True, False]
    assert len(pool.loaded()) == 1
    now[0] += LOAD_FAILURE_MEMORY
    await use(pool, "c")
    assert set(pool.loaded()[0].members) == {"a", "b", "c"}


async def test_one_that_is_refused_disturbs_nobody_and_is_not_tried_again() -> None:
    sharer, now = Sharer(), [0.0]
    sharer.refuses = {"bad"}
    pool = make(sharer, now=now)
    async with pool.use(target("a")) as loaded:
        for _ in range(2):
            with pytest.raises(Damaged, match="bad"):
                await use(pool, "bad")
            now[0] += 600
        assert not loaded.finishing
        assert pool.loaded() == [loaded]
    assert [engine.closed for engine in sharer.engines] == [False, True]
    assert len(sharer.asked) == 2


async def test_one_that_kills_the_worker_is_told_apart_from_those_who_came_with_it() -> None:
    sharer = Sharer()
    pool = make(sharer)
    sharer.dies_of = {"killer"}
    outcomes = await asyncio.gather(*(use(pool, name) for name in ("a", "killer", "b")), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ModelUnavailable, type(None)]
    assert set(pool.loaded()[0].members) == {"a", "b"}


async def test_the_longest_unused_gives_way_when_there_is_no_room_for_all() -> None:
    sharer, now = Sharer(), [0.0]
    pool = make(sharer, memory=BASE + 2 * OWN, now=now)
    for name in ("a", "b", "c", "b", "d"):
        now[0] += 1
        await use(pool, name)
    assert set(pool.loaded()[0].members) == {"b", "c", "d"}


async def test_one_that_is_unloaded_goes_and_the_last_takes_the_worker_with_it() -> None:
    sharer = Sharer()
    pool = make(sharer)
    await use(pool, "a", "b")
    assert await pool.unload("a")
    assert not pool.holds(target("a"))
    assert pool.holds(target("b"))
    assert await pool.unload("b")
    assert pool.loaded() == []
    assert sharer.engines[-1].closed


async def test_other_bases_have_other_workers() -> None:
    sharer = Sharer()
    pool = make(sharer)
    async with pool.use(target("a", "one")) as one, pool.use(target("b", "two")) as two:
        assert one.engine is not two.engine
