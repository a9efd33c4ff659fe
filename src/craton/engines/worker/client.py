"""WorkerEngine: an `Engine` whose work is done by one worker process, at the other end of a socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

from craton.children.connection import Connection
from craton.children.errors import from_wire
from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, ModelFailed
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
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
    Predict,
    Predicted,
    Score,
    Scored,
    WorkerFrame,
)


class WorkerEngine:
    """The calls under way at one worker, for as long as that process lives. Restarting is `supervisor`'s business.

    A chat's events wait in a queue of at most `window`; then the worker stops reading that chat's engine until the
    caller has taken some. When the worker dies, every call gets a ModelFailed.
    """

    def __init__(
        self, connection: Connection[WorkerFrame], model: str, capabilities: Capabilities, window: int
    ) -> None:
        self._connection, self._model, self._window = connection, model, window
        self._capabilities = capabilities
        self._streams: dict[int, _Stream] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._dead: CratonError | None = None
        self.refused: dict[str, CratonError] = {}  # adapters, by key

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def in_flight(self) -> int:
        return len(self._streams) + len(self._answers)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        call, stream = self._next(), _Stream()
        self._connection.send(Chat(call, request))
        self._streams[call] = stream
        taken = 0
        try:
            while (batch := await stream.next()) is not None:
                for event in batch:
                    yield event
                taken += len(batch)
                if taken >= self._window // 2 and not stream.ended:
                    stream.outstanding -= taken
                    self._connection.send(Credit(call, taken))
                    taken = 0
        finally:
            del self._streams[call]
            if not stream.ended:
                self._connection.send(Cancel(call))

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        answer: EmbedAnswer = await self._ask(lambda call: Embed(call, request))
        return answer

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        answer: ScoreAnswer = await self._ask(lambda call: Score(call, request))
        return answer

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        answer: PredictAnswer = await self._ask(lambda call: Predict(call, request))
        return answer

    async def count_tokens(self, request: ChatRequest) -> int:
        tokens: int = await self._ask(lambda call: Count(call, request))
        return tokens

    async def close(self) -> None:
        """Closes the socket: the worker ends by itself."""
        self._connection.close()

    def received(self, frame: Events | Embedded | Scored | Predicted | Counted | Failed) -> str:
        """Takes a frame of the worker. Returns what is wrong with it, "" for nothing. Frames of calls that nobody waits
        for (cancelled ones) are dropped."""
        if isinstance(frame, Events):
            stream = self._streams.get(frame.id)
            if stream is not None:
                stream.outstanding += len(frame.events)
                if stream.outstanding > self._window:
                    return "more events than it had credit for"
                stream.put(frame.events, frame.done)
            return ""
        answer = self._answers.get(frame.id)
        if isinstance(frame, Failed):
            error = from_wire(frame.error, self._model)
            if frame.id in self._streams:
                self._streams[frame.id].fail(error)
            elif answer is not None and not answer.done():
                answer.set_exception(error)
        elif answer is not None and not answer.done():
            answer.set_result(frame.tokens if isinstance(frame, Counted) else frame.answer)
        return ""

    def died(self, reason: str) -> None:
        """Fails every call under way, and every later one."""
        self._dead = ModelFailed(self._model, reason)
        for stream in self._streams.values():
            stream.fail(ModelFailed(self._model, reason))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ModelFailed(self._model, reason))

    def _next(self) -> int:
        if self._dead:
            raise self._dead
        self._last += 1
        return self._last

    async def _ask(self, make: Callable[[int], Embed | Score | Predict | Count]) -> Any:
        call = self._next()
        self._connection.send(make(call))
        answer = self._answers[call] = asyncio.get_running_loop().create_future()
        try:
            return await answer
        except asyncio.CancelledError:
            self._connection.send(Cancel(call))
            raise
        finally:
            del self._answers[call]


class _Stream:
    """Events that came and were not yet taken, in the batches in which they came."""

    def __init__(self) -> None:
        self.outstanding = 0  # events for which the worker had no credit back
        self.ended = False
        self._batches: deque[tuple[Event, ...]] = deque()
        self._error: CratonError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, events: tuple[Event, ...], done: bool) -> None:
        if events:
            self._batches.append(events)
        self.ended = self.ended or done
        self._wake()

    def fail(self, error: CratonError) -> None:
        if not self.ended:
            self.ended, self._error = True, error
            self._wake()

    async def next(self) -> tuple[Event, ...] | None:
        """The next batch, None at the end. Raises the call's error after all that came before it."""
        while not self._batches:
            if self._error:
                raise self._error
            if self.ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._batches.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
