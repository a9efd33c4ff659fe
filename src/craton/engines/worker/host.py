"""Inside a worker: answers the server's frames from one engine, all calls at once on one asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, cast

from craton.children.connection import Connection
from craton.children.errors import to_wire
from craton.children.frames import encode
from craton.core.chat import ChatRequest
from craton.core.errors import Throttled, TooLarge
from craton.core.events import Event
from craton.core.model import EmbedRequest, ScoreRequest
from craton.core.predicting import PredictorRequest
from craton.engines.protocol import Engine
from craton.engines.worker.frames import (
    Cancel,
    Chat,
    Count,
    Counted,
    Credit,
    Embed,
    Embedded,
    Events,
    Failed,
    Ping,
    Pong,
    Predict,
    Predicted,
    Score,
    Scored,
    ServerFrame,
)

MAX_CALLS = 4096


class Host:
    """The calls under way. Events are written once a loop turn, so a burst costs one write and a lone event waits for
    nothing but the turn to end."""

    def __init__(self, engine: Engine, model: str, window: int) -> None:
        self._engine, self._model, self._window = engine, model, window
        self._connection: Connection[ServerFrame] | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, _Credit] = {}
        self._pending: dict[int, list[Event]] = {}
        self._flushing = False

    def attach(self, connection: Connection[ServerFrame]) -> None:
        self._connection = connection

    def received(self, frame: ServerFrame) -> None:
        if isinstance(frame, Credit):
            if credit := self._credit.get(frame.id):
                credit.add(frame.events)
        elif isinstance(frame, Chat):
            self._credit[frame.id] = _Credit(self._window)
            self._begin(frame.id, partial(self._chat, frame.id, frame.request))
        elif isinstance(frame, Embed):
            self._begin(frame.id, partial(self._embed, frame.id, frame.request))
        elif isinstance(frame, Score):
            self._begin(frame.id, partial(self._score, frame.id, frame.request))
        elif isinstance(frame, Predict):
            self._begin(frame.id, partial(self._predict, frame.id, frame.request))
        elif isinstance(frame, Count):
            self._begin(frame.id, partial(self._count, frame.id, frame.request))
        elif isinstance(frame, Cancel):
            self._pending.pop(frame.id, None)
            if task := self._tasks.get(frame.id):
                task.cancel()
        elif isinstance(frame, Ping):
            self._send(Pong())

    async def stop(self) -> None:
        """Cancels what is under way and closes the engine."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._engine.close()

    def _begin(self, call: int, work: Callable[[], Awaitable[None]]) -> None:
        if len(self._tasks) >= MAX_CALLS:
            self._credit.pop(call, None)
            self._send(Failed(call, to_wire(Throttled("too many calls at once"), self._model)))
            return
        self._tasks[call] = task = asyncio.create_task(self._run(call, work))
        task.add_done_callback(lambda _task: self._ended(call))

    def _ended(self, call: int) -> None:
        del self._tasks[call]
        self._credit.pop(call, None)
        self._pending.pop(call, None)

    async def _run(self, call: int, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            self._flush()
            self._send(Failed(call, to_wire(error, self._model)))

    async def _chat(self, call: int, request: ChatRequest) -> None:
        credit = self._credit[call]
        # `Engine.chat` promises an iterator that can be closed: an async generator, in every engine there is.
        events = cast("Any", self._engine.chat(request))
        async with aclosing(events):
            async for event in events:
                if credit.left == 0:
                    self._flush()
                    await credit.more()
                credit.left -= 1
                self._pending.setdefault(call, []).append(event)
                if not self._flushing:
                    self._flushing = True
                    asyncio.get_running_loop().call_soon(self._flush)
        self._send(Events(call, tuple(self._pending.pop(call, ())), done=True))

    async def _embed(self, call: int, request: EmbedRequest) -> None:
        self._send(Embedded(call, await self._engine.embed(request)))

    async def _score(self, call: int, request: ScoreRequest) -> None:
        self._send(Scored(call, await self._engine.score(request)))

    async def _predict(self, call: int, request: PredictorRequest) -> None:
        self._send(Predicted(call, await self._engine.predict(request)))

    async def _count(self, call: int, request: ChatRequest) -> None:
        self._send(Counted(call, await self._engine.count_tokens(request)))

    def _flush(self) -> None:
        self._flushing = False
        pending, self._pending = self._pending, {}
        data = b"".join(self._encoded(call, events) for call, events in pending.items())
        if data and self._connection:
            self._connection.send_bytes(data)

    def _encoded(self, call: int, events: list[Event]) -> bytes:
        try:
            return encode(Events(call, tuple(events)))
        except TooLarge as error:
            self._tasks[call].cancel()
            return encode(Failed(call, to_wire(error, self._model)))

    def _send(self, frame: Pong | Failed | Events | Embedded | Scored | Predicted | Counted) -> None:
        if self._connection:
            self._connection.send(frame)


class _Credit:
    """How many more events one chat may send before its caller has taken some: a slow caller stops its own stream."""

    def __init__(self, left: int) -> None:
        self.left = left
        self._given = asyncio.Event()

    def add(self, events: int) -> None:
        self.left += events
        self._given.set()

    async def more(self) -> None:
        while self.left == 0:
            self._given.clear()
            await self._given.wait()
