"""A helper's side: reads the run's rows, comes by the method's own code to where help is wanted, and gives it there.

It writes nothing: no metrics, no files, no model. When the leader is gone, so is it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from craton.core.errors import Unsupported
from craton.core.job import JobLost
from craton.training.jobrun import Checkout
from craton.training.protocol import Helped, Meeting, Outside, Score, Team
from craton.training.team.messages import Asked, Channel, FromLeader, Gone, Hello, Measured, Meet

CONNECTING = 30.0  # seconds

Work = Callable[["HelperRun"], None]
"""The run's own code up to where help is wanted. Blocks; ends with Helped."""


class Helping:
    """See `training.protocol.Team`. gone: called once, in another thread, when the leader has left."""

    leads = False

    def __init__(self, leader: str, token: str, gone: Callable[[], None]) -> None:
        """leader: HOST:PORT. Raises OSError, Gone."""
        host, _, port = leader.rpartition(":")
        self._host = host
        self._channel = Channel[FromLeader](socket.create_connection((host, int(port)), CONNECTING), FromLeader)
        self._channel.send(Hello(token))
        self._gone, self._left = gone, threading.Event()
        self._asked: queue.SimpleQueue[FromLeader | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="leader", daemon=True).start()

    def check(self) -> None:
        if self._left.is_set():
            raise JobLost()

    def spread(self, score: Score) -> Score:
        while isinstance(asked := self._asked.get(), Asked):
            try:
                found = Measured(score(asked.params, asked.fold))
            except (ValueError, TypeError) as error:
                found = Measured(None, str(error)[:500])
            with suppress(Gone):
                self._channel.send(found)
        raise Helped

    def meet(self) -> Meeting | None:
        asked = self._asked.get()
        if not isinstance(asked, Meet):
            raise Helped
        return Meeting(asked.host, asked.port, asked.rank, asked.size, self._channel.here, None)

    def close(self) -> None:
        self._channel.close()

    def _listen(self) -> None:
        try:
            while True:
                self._asked.put(self._channel.receive(lambda: None))
        except Gone:
            self._left.set()
            self._asked.put(None)
            self._gone()


class HelperRun:
    """See `training.protocol.Run`: the leader's tells everything, this one nothing."""

    def __init__(self, helping: Helping, checkout: Checkout, folder: Path) -> None:
        self._helping, self._checkout, self._folder = helping, checkout, folder

    def check(self) -> None:
        self._helping.check()

    def progress(self, done: int, total: int | None, unit: str) -> None: ...

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...

    def parameter(self, name: str, value: Any) -> None: ...

    def log(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def team(self, size: int, *, here: bool) -> Team:
        return self._helping

    def checkout(self, kind: Literal["model", "space"], ref: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="checkout-", dir=self._folder))
        self._checkout(kind, ref, folder)
        return folder

    @property
    def outside(self) -> Outside:
        raise Unsupported("Asking models and addresses from a helper")

    @property
    def folder(self) -> Path:
        found = self._folder / "run"
        found.mkdir(exist_ok=True)
        return found


async def help_run(leader: str, token: str, checkout: Checkout, work: Work) -> None:
    """Returns when there is nothing left to help with. The work may still hold its thread then, deep in a library: end
    the process. Raises what the work raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def ended(error: BaseException | None = None) -> None:
        if not done.done():
            done.set_result(None) if error is None else done.set_exception(error)

    def gone() -> None:
        loop.call_soon_threadsafe(ended)

    try:
        helping = await asyncio.to_thread(Helping, leader, token, gone)
    except OSError:
        return  # it was called off before it could start

    def working() -> None:
        try:
            work(HelperRun(helping, checkout, folder))
        except (Helped, JobLost):
            loop.call_soon_threadsafe(ended)
        except BaseException as error:
            loop.call_soon_threadsafe(ended, error)

    folder = Path(tempfile.mkdtemp(prefix=f"craton-helper-{os.getpid()}-"))
    try:
        threading.Thread(target=working, name="helping", daemon=True).start()
        await done
    finally:
        shutil.rmtree(folder, ignore_errors=True)
