"""One worker process from its first frame to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import Struct

from craton.children.connection import Connection
from craton.children.errors import from_wire
from craton.children.process import Process, how_it_ended
from craton.core.errors import ModelUnavailable
from craton.engines.protocol import EngineSpec
from craton.engines.worker.client import WorkerEngine
from craton.engines.worker.frames import (
    Counted,
    Embedded,
    Events,
    Failed,
    Load,
    LoadFailed,
    Ping,
    Pong,
    Predicted,
    Ready,
    Scored,
    WorkerFrame,
)

log = logging.getLogger(__name__)


class LifeSettings(Struct, frozen=True):
    """In seconds: the most that loading may take; the time between two pings; how long without a frame a worker counts
    as hung; the time to leave by itself when unloaded. window: events of one chat under way (see `frames.Load`)."""

    load_seconds: float = 600.0
    ping_seconds: float = 1.0
    hang_seconds: float = 10.0
    grace_seconds: float = 5.0
    window: int = 256


class Life:
    """`begin` it, use its `engine`, await `lived`; cancelling `lived` ends the process."""

    def __init__(
        self, process: Process, spec: EngineSpec, settings: LifeSettings, died: Callable[[Life], None]
    ) -> None:
        """died: called once, as soon as nothing more can come from the process."""
        self._process, self._model, self._settings, self._on_death = process, spec.model, settings, died
        self._ready: asyncio.Future[WorkerEngine] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._heard = True
        self._why = ""
        self.pid = process.pid

    @classmethod
    async def begin(
        cls, process: Process, spec: EngineSpec, settings: LifeSettings, died: Callable[[Life], None]
    ) -> Life:
        """Loads the model. Raises the error of loading, or ModelUnavailable when the process died or took too long;
        the process is gone then."""
        life = cls(process, spec, settings, died)
        try:
            await life._load(spec)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return life

    async def _load(self, spec: EngineSpec) -> None:
        self._connection = await Connection[WorkerFrame].open(
            self._process.sock, WorkerFrame, self._received, self._closed
        )
        self._connection.send(Load(spec, self._settings.window))
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the result, and whoever
            # closes a worker just as it is ready would wait for ever.
            async with asyncio.timeout(self._settings.load_seconds):
                await self._ready
        except TimeoutError:
            seconds = f"{self._settings.load_seconds:g} seconds"
            raise ModelUnavailable(self._model, f"loading took longer than {seconds}") from None
        except _Died:
            reason = self._why or how_it_ended(await self._process.end(1.0))
            log.warning("worker %d died while loading; its last words:\n%s", self.pid, self._process.last_words())
            raise ModelUnavailable(self._model, f"loading failed: {reason}") from None

    @property
    def engine(self) -> WorkerEngine:
        """Only after `begin`."""
        return self._ready.result()

    async def lived(self) -> str:
        """Watches the heartbeat until the process is gone; why it is. When cancelled: unloads it."""
        try:
            while not self._gone.is_set():
                await self._beat()
        except asyncio.CancelledError:
            self._end("it was unloaded")
            await self._process.end(self._settings.grace_seconds)
            raise
        code = await self._process.end(0.5)
        reason = self._why or how_it_ended(code)
        log.warning("worker %d is gone (%s); its last words:\n%s", self.pid, reason, self._process.last_words())
        self.engine.died(reason)
        return reason

    async def _beat(self) -> None:
        """One ping. A worker that says nothing for `hang_seconds` is killed."""
        self._heard = False
        self._connection.send(Ping())
        waited = 0.0
        while True:
            try:
                async with asyncio.timeout(self._settings.ping_seconds):
                    await self._gone.wait()
            except TimeoutError:
                waited += self._settings.ping_seconds
            if self._heard or self._gone.is_set():
                return
            if waited >= self._settings.hang_seconds:
                self._process.kill()
                self._end(f"it did not answer for {self._settings.hang_seconds:g} seconds and was killed")
                return

    def _received(self, frame: WorkerFrame) -> None:
        self._heard = True
        if not isinstance(frame, Pong) and (wrong := self._take(frame)):
            self._process.kill()
            self._end(f"it broke the protocol: {wrong}")

    def _take(self, frame: Ready | LoadFailed | Events | Embedded | Scored | Predicted | Counted | Failed) -> str:
        """What is wrong with the frame, "" for nothing."""
        if not isinstance(frame, (Ready, LoadFailed)):
            return self.engine.received(frame) if self._is_ready() else "it answered before it was ready"
        if self._ready.done():
            return "it said twice that it is ready"
        if isinstance(frame, LoadFailed):
            self._ready.set_exception(from_wire(frame.error, self._model))
        else:
            window = self._settings.window
            engine = WorkerEngine(self._connection, self._model, frame.capabilities, window)
            engine.refused = {key: from_wire(error, self._model) for key, error in frame.refused.items()}
            self._ready.set_result(engine)
        return ""

    def _is_ready(self) -> bool:
        return self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None

    def _closed(self, why: str) -> None:
        if why:
            log.warning("worker %d: %s", self.pid, why)
            self._process.kill()
            self._why = self._why or "it broke the protocol"
        self._end("")

    def _end(self, why: str) -> None:
        """No more calls, no more frames."""
        if self._gone.is_set():
            return
        self._why = self._why or why
        self._gone.set()
        self._connection.close()
        if not self._ready.done():
            self._ready.set_exception(_Died())
        self._on_death(self)
        if self._why and self._is_ready():
            self.engine.died(self._why)


class _Died(Exception):
    """The process went away before it was ready."""
