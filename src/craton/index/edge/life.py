"""One index process from its first frame to its end, and the calls under way at it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from craton.children.connection import Connection
from craton.children.errors import from_wire
from craton.children.process import Process, how_it_ended
from craton.core.errors import CratonError, Internal, ModelFailed
from craton.index.edge.frames import Answer, Begin, ChildFrame, Failed, Ping, Pong, Ready, Refused, Request
from craton.index.edge.settings import EdgeSettings

CHILD = "craton.index.edge.child"
PING_SECONDS = 5.0
GRACE_SECONDS = 30.0  # to write everything to the disk

log = logging.getLogger(__name__)


class Gone(Exception):
    """The process ended before it answered."""


class Life:
    """`begin` it, `ask` it, `end` it. One that died stays dead: begin another."""

    def __init__(self, process: Process, settings: EdgeSettings) -> None:
        self._process, self._settings = process, settings
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = 0
        self._heard = True
        self._connection: Connection[ChildFrame] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.gone = False
        self.pid = process.pid

    @classmethod
    async def begin(cls, folder: str, settings: EdgeSettings) -> Life:
        """Raises Gone, or what the process says that hinders it."""
        life = cls(await Process.spawn(CHILD), settings)
        try:
            sock = life._process.sock
            life._connection = await Connection[ChildFrame].open(sock, ChildFrame, life._received, life._closed)
            life._connection.send(Begin(folder, settings))
            async with asyncio.timeout(settings.start_seconds):
                await life._ready
        except TimeoutError:
            await life.end(0.0)
            raise Gone from None
        except BaseException:
            await life.end(0.0)
            raise
        life._watching = asyncio.create_task(life._watch())
        return life

    async def ask(self, make: Callable[[int], Request]) -> Answer:
        """Raises Gone, and the errors of the index."""
        if self.gone or self._connection is None:
            raise Gone
        self._last += 1
        call = self._last
        self._connection.send(make(call))
        future = self._answers[call] = asyncio.get_running_loop().create_future()
        try:
            answer: Answer = await future
        finally:
            del self._answers[call]
        if isinstance(answer, Failed):
            raise _error(answer)
        return answer

    async def end(self, grace: float = GRACE_SECONDS) -> None:
        """Closes the socket: the process writes what it has to the disk and leaves."""
        if self._watching is not None:
            self._watching.cancel()
        if self._connection is not None:
            self._connection.close()
        code = await self._process.end(grace)
        self._fail()
        if code:
            log.warning("the index process %d: %s; its last words:\n%s", self.pid, how_it_ended(code), self._last_words)

    @property
    def _last_words(self) -> str:
        return self._process.last_words()

    async def _watch(self) -> None:
        """A process that says nothing for `hang_seconds` is killed."""
        silent = 0.0
        while not self.gone and self._connection is not None:
            self._heard = False
            self._connection.send(Ping())
            await asyncio.sleep(PING_SECONDS)
            silent = 0.0 if self._heard else silent + PING_SECONDS
            if silent >= self._settings.hang_seconds:
                log.warning("the index process %d did not answer for %g seconds and is killed", self.pid, silent)
                self._process.kill()
                return

    def _received(self, frame: ChildFrame) -> None:
        self._heard = True
        if isinstance(frame, Ready):
            if not self._ready.done():
                self._ready.set_result(None)
        elif isinstance(frame, Refused):
            if not self._ready.done():
                self._ready.set_exception(from_wire(frame.error, "the index"))
        elif not isinstance(frame, Pong):
            answer = self._answers.get(frame.id)
            if answer is not None and not answer.done():
                answer.set_result(frame)

    def _closed(self, why: str) -> None:
        if why:
            log.warning("the index process %d: %s", self.pid, why)
            self._process.kill()
        self._fail()

    def _fail(self) -> None:
        self.gone = True
        if not self._ready.done():
            self._ready.set_exception(Gone())
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Gone())


def _error(answer: Failed) -> CratonError:
    error = from_wire(answer.error, "the index")
    return Internal("") if isinstance(error, ModelFailed) else error
