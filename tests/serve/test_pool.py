"""Loaded models: once for all who wait, gone when idle or when another needs the room."""

from __future__ import annotations

import asyncio

import pytest

from craton.core.errors import Damaged, ModelUnavailable
from craton.core.model import ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.protocol import Engine
from craton.serve.failures import LOAD_FAILURE_MEMORY
from craton.serve.pool import Pool, PoolLimits
from craton.serve.target import Target

pytestmark = pytest.mark.anyio


def target(name: str) -> Target:
    return Target(name, ModelInfo(id=name, verbs=("chat",), engine="echo"))


class CountingEcho(EchoEngine):
    """An echo engine that remembers that it was closed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class Loader:
    def __init__(self) -> None:
        self.loads: list[str] = []
        self.engines: dict[str, CountingEcho] = {}
        self.fail = False

    async def load(self, target: Target) -> Engine:
        self.loads.append(target.key)
        await asyncio.sleep(0.01)
        if self.fail:
            raise Damaged(target.info.id, "cut off")
        engine = self.engines[target.key] = CountingEcho(target.key)
        return engine


def make(loader: Loader, memory: int = 100, needed: int = 40, **options: float) -> Pool:
    return Pool(loader.load, lambda _: needed, PoolLimits(memory=memory, **options))  # type: ignore[arg-type]


async def use(pool: Pool, name: str) -> None:
    async with pool.use(target(name)):
        pass


async def test_many_who_want_a_model_share_one_load() -> None:
    loader = Loader()
    pool = make(loader)
    await asyncio.gather(*(use(pool, "a") for _ in range(10)))
    assert loader.loads == ["a"]


async def test_a_load_goes_on_when_the_first_who_asked_leaves() -> None:
    loader = Loader()
    pool = make(loader)
    first = asyncio.create_task(use(pool, "a"))
    second = asyncio.create_task(use(pool, "a"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert loader.loads == ["a"]


async def test_the_longest_unused_model_makes_room() -> None:
    loader = Loader()
    pool = make(loader, memory=100, needed=40)
    for name in ("a", "b", "a", "c"):
        await use(pool, name)
    assert {loaded.target.key for loaded in pool.loaded()} == {"a", "c"}
    assert loader.engines["b"].closed


async def test_a_model_in_use_is_never_thrown_out() -> None:
    loader = Loader()
    pool = make(loader, memory=50, needed=40)
    async with pool.use(target("a")):
        with pytest.raises(ModelUnavailable, match="in use"):
            await use(pool, "b")
        assert not loader.engines["a"].closed


async def test_a_model_that_can_never_fit_is_refused_with_the_numbers() -> None:
    pool = make(Loader(), memory=2**20, needed=5 * 2**20)
    with pytest.raises(ModelUnavailable, match="about 5 MiB"):
        await use(pool, "a")


async def test_a_failed_load_is_told_again_without_loading_until_some_time_has_passed() -> None:
    loader, now = Loader(), [0.0]
    pool = Pool(loader.load, lambda _: 1, PoolLimits(memory=10), monotonic=lambda: now[0])
    loader.fail = True
    for _ in range(3):
        with pytest.raises(Damaged):
            await use(pool, "a")
    assert loader.loads == ["a"]
    loader.fail, now[0] = False, LOAD_FAILURE_MEMORY + 1
    await use(pool, "a")
    assert loader.loads == ["a", "a"]


async def test_idle_models_are_unloaded() -> None:
    loader = Loader()
    pool = make(loader, idle=0.05)
    pool.start()
    await use(pool, "a")
    for _ in range(100):
        if loader.engines["a"].closed:
            break
        await asyncio.sleep(0.02)
    assert loader.engines["a"].closed
    assert pool.loaded() == []
    await pool.close()


async def test_unloading_by_name_ends_the_engine() -> None:
    loader = Loader()
    pool = make(loader)
    await use(pool, "a")
    assert await pool.unload("a")
    assert loader.engines["a"].closed
    assert not await pool.unload("a")


async def test_a_load_that_takes_longer_than_a_request_may_goes_on_without_it() -> None:
    loader = Loader()
    pool = make(loader)
    with pytest.raises(ModelUnavailable, match="still loading"):
        async with pool.use(target("a"), asyncio.get_running_loop().time()):
            pass
    async with pool.use(target("a"), asyncio.get_running_loop().time() + 60) as loaded:
        assert loaded.target.key == "a"
    assert loader.loads == ["a"]
