"""A model that learns comes back after its worker died, whoever was waiting for it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from craton.core.errors import ModelUnavailable
from craton.core.model import ModelInfo
from craton.core.predicting import PredictAnswer, PredictRequest
from craton.engines.worker.supervisor import Worker
from craton.serve.learning import LearningEngine, Line
from craton.serve.target import Target

pytestmark = pytest.mark.anyio
ASKED = PredictRequest("acme/stream", "predict", ([1.0],), ("x",))


class Started:
    """What a worker is to the engine: a process that answers, until its number changes."""

    def __init__(self, pid: int) -> None:
        self.pid: int | None = pid

    async def predict(self, request: PredictRequest) -> PredictAnswer:
        return PredictAnswer(("pid",), ([self.pid],))

    async def close(self) -> None:
        self.pid = None


class Starting:
    """Starts workers, each only when it is let; the next ones fail as often as is asked."""

    def __init__(self) -> None:
        self.workers: list[Started] = []
        self.failures, self.let = 0, asyncio.Event()
        self.let.set()

    async def __call__(self, target: Target) -> Worker:
        await self.let.wait()
        if self.failures:
            self.failures -= 1
            raise ModelUnavailable(target.info.id, "no memory")
        self.workers.append(Started(len(self.workers) + 1))
        return cast("Worker", self.workers[-1])


async def living(starting: Starting) -> LearningEngine:
    target = Target("acme/stream", ModelInfo("acme/stream", ("predict", "learn"), "predictor", revision="r1"))
    engine = LearningEngine(Line(target), cast("Any", None), starting, 0)
    await engine.renew()
    return engine


async def answered(engine: LearningEngine) -> Any:
    return (await engine.predict(ASKED)).columns[0][0]


async def test_whoever_leaves_while_it_comes_back_takes_nothing_along() -> None:
    starting = Starting()
    engine = await living(starting)
    starting.workers[0].pid = None  # it died
    starting.let.clear()
    first, second = asyncio.create_task(answered(engine)), asyncio.create_task(answered(engine))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    starting.let.set()
    assert await asyncio.wait_for(second, 5) == 2
    assert await answered(engine) == 2
    assert len(starting.workers) == 2


async def test_what_could_not_start_is_tried_again_by_the_next() -> None:
    starting = Starting()
    engine = await living(starting)
    starting.workers[0].pid, starting.failures = None, 1
    with pytest.raises(ModelUnavailable, match="no memory"):
        await answered(engine)
    assert await answered(engine) == 2
