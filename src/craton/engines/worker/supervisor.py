"""Worker: one model in a process of its own, started again when it dies.

    worker = Worker(spec)
    await worker.start()            # loads; raises what loading raised
    async for event in worker.chat(request): ...
    await worker.close()            # ends the process, so its memory comes back

One task lives the process's lives one after the other: start, load, watch the heartbeat until it dies, wait, again.
A life that ends early makes the next wait longer (1, 2, 4 ... 60 seconds); after a long one there is no wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Literal

from msgspec import Struct

from craton.children.process import Process
from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, ModelFailed, ModelUnavailable
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.engines.protocol import EngineSpec
from craton.engines.worker.client import WorkerEngine
from craton.engines.worker.life import Life, LifeSettings

log = logging.getLogger(__name__)

State = Literal["stopped", "starting", "ready", "waiting"]
Spawn = Callable[[], Awaitable[Process]]


class WorkerSettings(Struct, frozen=True):
    """life: limits of one process. A life shorter than `short_life_seconds` counts as a failure; the n-th in a row
    makes the next start wait `backoff_seconds` * 2**(n - 2), at most `backoff_limit_seconds`; the first, not at all."""

    life: LifeSettings = LifeSettings()
    short_life_seconds: float = 30.0
    backoff_seconds: float = 1.0
    backoff_limit_seconds: float = 60.0


async def spawn_worker() -> Process:
    return await Process.spawn("craton.engines.worker.child")


class Worker:
    """An `Engine` that survives its own process."""

    def __init__(
        self,
        spec: EngineSpec,
        settings: WorkerSettings | None = None,
        *,
        spawn: Spawn = spawn_worker,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spec, self._settings = spec, settings or WorkerSettings()
        self._spawn, self._clock, self._sleep = spawn, clock, sleep
        self.state: State = "stopped"
        self._life: Life | None = None
        self._capabilities: Capabilities | None = None
        self._changed = asyncio.Event()  # set, and replaced, whenever `state` changes
        self._reason = "it is not loaded"
        self._retry_at = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None  # done when the first load is

    async def start(self) -> None:
        """Loads the model. Raises the typed error that loading ended in; then the worker is stopped, and may be started
        again. A caller that gives up waiting must `close`."""
        if self._keeper is None or self._first is None:
            self._first = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep(self._first))
        await asyncio.shield(self._first)

    @property
    def capabilities(self) -> Capabilities:
        """Known from the first load on."""
        if self._capabilities is None:
            raise ModelUnavailable(self._spec.model, self._reason)
        return self._capabilities

    @property
    def refused(self) -> dict[str, CratonError]:
        """What is wrong with the adapters that it cannot apply, by key."""
        return self._life.engine.refused if self._life else {}

    @property
    def pid(self) -> int | None:
        """The process that serves now."""
        return self._life.pid if self._life else None

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._life.engine.in_flight if self._life else 0

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Raises ModelUnavailable while the worker waits to start again; while it starts, the call waits."""
        engine = await self._engine()
        async with aclosing(engine.chat(request)) as events:
            async for event in events:
                yield event

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        return await (await self._engine()).embed(request)

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        return await (await self._engine()).score(request)

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        return await (await self._engine()).predict(request)

    async def count_tokens(self, request: ChatRequest) -> int:
        return await (await self._engine()).count_tokens(request)

    async def close(self) -> None:
        """Ends the process. Calls under way get a ModelFailed. Returns when the process is gone."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        self._reason = "it was unloaded"
        if self._first is not None and not self._first.done():
            self._first.set_exception(ModelUnavailable(self._spec.model, self._reason))
        self._set("stopped")

    async def _engine(self) -> WorkerEngine:
        while self.state == "starting":
            await self._changed.wait()
        if self.state == "waiting":
            seconds = max(1, round(self._retry_at - self._clock()))
            raise ModelUnavailable(self._spec.model, f"{self._reason}; it starts again in {seconds} s")
        if self._life is None:
            raise ModelUnavailable(self._spec.model, self._reason)
        return self._life.engine

    async def _begin_life(self) -> Life:
        life = await Life.begin(await self._spawn(), self._spec, self._settings.life, self._died)
        self._life, self._capabilities = life, life.engine.capabilities
        self._set("ready")
        return life

    def _died(self, life: Life) -> None:
        """The process is as good as gone: no call may reach it any more."""
        if self._life is life:
            self._life = None
            self._set("starting")

    async def _keep(self, first: asyncio.Future[None]) -> None:
        self._set("starting")
        try:
            life = await self._begin_life()
        except Exception as error:
            self._keeper = None
            self._reason = _reason(error)
            self._set("stopped")
            if not first.done():
                first.set_exception(error)
            return
        first.set_result(None)
        failures = 0
        while True:
            born = self._clock()
            self._reason = await life.lived()
            self._died(life)
            failures = failures + 1 if self._clock() - born < self._settings.short_life_seconds else 1
            log.warning("the worker of %s died: %s", self._spec.model, self._reason)
            life, failures = await self._begin_again(failures)

    async def _begin_again(self, failures: int) -> tuple[Life, int]:
        """The next life, and how many short ones came before it."""
        while True:
            if failures > 1:
                await self._wait(failures)
            self._set("starting")
            try:
                return await self._begin_life(), failures
            except Exception as error:  # whatever it is: without a next try, calls would wait for ever
                failures += 1
                self._reason = _reason(error)
                log.warning("the worker of %s did not start again: %s", self._spec.model, self._reason)

    async def _wait(self, failures: int) -> None:
        settings = self._settings
        seconds = min(settings.backoff_limit_seconds, settings.backoff_seconds * 2.0 ** min(failures - 2, 20))
        self._retry_at = self._clock() + seconds
        self._set("waiting")
        await self._sleep(seconds)

    def _set(self, state: State) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()


def _reason(error: Exception) -> str:
    if isinstance(error, (ModelFailed, ModelUnavailable)):
        return error.reason
    return str(error) if isinstance(error, CratonError) else "its process could not be started"
