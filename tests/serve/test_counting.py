"""Counting tokens loads no model, unless only the model itself counts exactly."""

from __future__ import annotations

import pytest

from craton.core.chat import ChatRequest, Message, TextPart, Tool
from craton.core.errors import CratonError, ModelFailed, ModelUnavailable, Unsupported
from craton.core.model import Capabilities, ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.protocol import Engine
from craton.serve.counting import Counting, counter_bytes
from craton.serve.pool import Pool, PoolLimits
from craton.serve.target import Target

pytestmark = pytest.mark.anyio


def target(engine: str = "llama_cpp", **details: int | None) -> Target:
    return Target("m", ModelInfo(id="m", verbs=("chat",), engine=engine, details=details))


def ask(text: str = "a b c") -> ChatRequest:
    return ChatRequest("m", (Message("user", (TextPart(text),)),))


class Counter(EchoEngine):
    """An echo engine that may do less, or fail."""

    fails: CratonError | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(("chat",))

    async def count_tokens(self, request: ChatRequest) -> int:
        if self.fails is not None:
            raise self.fails
        return 100 + await super().count_tokens(request)


class Place:
    """A pool's loader: what it loaded, and what it fails with."""

    def __init__(self, engine: Engine, error: CratonError | None = None) -> None:
        self.engine, self.error, self.loads = engine, error, 0
        self.pool = Pool(self.load, lambda _: 1, PoolLimits(memory=10))

    async def load(self, _: Target) -> Engine:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return self.engine


async def test_a_model_that_is_not_loaded_is_not_loaded_for_counting() -> None:
    models, counters = Place(EchoEngine("m")), Place(Counter("m"))
    counting = Counting(models.pool, counters.pool)
    assert [await counting.count(target(), ask()) for _ in range(3)] == [103, 103, 103]
    assert (models.loads, counters.loads) == (0, 1)


async def test_a_loaded_model_counts_itself() -> None:
    models, counters = Place(EchoEngine("m")), Place(Counter("m"))
    counting = Counting(models.pool, counters.pool)
    async with models.pool.use(target()):
        pass
    assert await counting.count(target(), ask()) == 3
    assert counters.loads == 0


async def test_engines_without_a_counter_count_themselves() -> None:
    models, counters = Place(EchoEngine("m")), Place(Counter("m"))
    assert await Counting(models.pool, counters.pool).count(target("echo"), ask()) == 3
    assert counters.loads == 0


@pytest.mark.parametrize("error", [Unsupported("this vocabulary"), ModelUnavailable("m", "no room")])
async def test_where_there_can_be_no_counter_the_model_counts(error: CratonError) -> None:
    models, counters = Place(EchoEngine("m")), Place(Counter("m"), error)
    assert await Counting(models.pool, counters.pool).count(target(), ask()) == 3
    assert (models.loads, counters.loads) == (1, 1)


async def test_what_a_counter_does_not_count_exactly_is_counted_by_the_model() -> None:
    counter = Counter("m")
    counter.fails = Unsupported("an answer that was begun")
    models = Place(EchoEngine("m"))
    assert await Counting(models.pool, Place(counter).pool).count(target(), ask()) == 3


async def test_a_counter_that_fails_fails_the_request_alone() -> None:
    counter = Counter("m")
    counter.fails = ModelFailed("m", "killed")
    models = Place(EchoEngine("m"))
    counting = Counting(models.pool, Place(counter).pool)
    with pytest.raises(ModelFailed):
        await counting.count(target(), ask())
    counter.fails = None
    assert await counting.count(target(), ask()) == 103
    assert models.loads == 0


async def test_what_the_model_would_refuse_is_not_counted_either() -> None:
    models = Place(EchoEngine("m"))
    with_tools = ChatRequest("m", ask().messages, tools=(Tool("t", {"type": "object"}),))
    with pytest.raises(Unsupported, match="Tool use"):
        await Counting(models.pool, Place(Counter("m")).pool).count(target(), with_tools)
    assert models.loads == 0


def test_a_larger_vocabulary_needs_more_room() -> None:
    assert counter_bytes(target(vocabulary=None)) < counter_bytes(target(vocabulary=49_152)) < 128 * 2**20
