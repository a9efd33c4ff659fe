"""Runs queued jobs as child processes of this server, a few at once.

A job whose process dies is taken up again; one whose server dies too is taken up by the next server (or another one on
the same database) once its lease ends, at once where it can be seen that the process is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from craton.children.process import how_it_ended
from craton.core.job import JobLost
from craton.jobs.child import Child
from craton.jobs.leases import MAX_CRASHES, Lease
from craton.jobs.queue import Jobs

POLL = 1.0  # seconds between two looks for jobs that other processes submitted
SOON = 0.02  # seconds until the first look after a submit, whose transaction may not have committed
SWEEP_EVERY = 3600.0
DAY = 86_400.0

log = logging.getLogger(__name__)


class ExecutorLimits(Struct, frozen=True):
    """at_once: jobs. crashes: in a row without getting further, until a job is given up. cancel_grace, stop_grace:
    seconds from asking a job's process to end until it is killed. days: how long finished jobs are kept."""

    at_once: int
    crashes: int = MAX_CRASHES
    cancel_grace: float = 30.0
    stop_grace: float = 5.0
    days: float = 90.0


def default_at_once() -> int:
    """One core is left for those who wait for an answer."""
    return max(1, (os.cpu_count() or 1) - 1)


class Process(Protocol):
    """The process of one job, wherever it is. outlives: it goes on when this server ends, and keeps its own lease."""

    @property
    def outlives(self) -> bool: ...

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        ...

    def terminate(self) -> None:
        """The server ends."""
        ...

    def kill(self) -> None: ...

    def last_words(self) -> str: ...


Launch = Callable[[Lease], Awaitable[Process]]
"""Starts the process of a job. Raises OSError."""

ON = "on"
"""The argument of a job that names where it is to run, for those that do not run here."""


class LocalExecutor:
    """command: what runs a job, to which its id, `--fence N` and `--parent PID` are added. environment: of the server;
    extra: what the children are given beside the harmless part of it. elsewhere: other places by name, whose jobs do
    not count among those that run here at once."""

    def __init__(
        self,
        jobs: Jobs,
        command: Sequence[str],
        environment: Mapping[str, str],
        extra: Mapping[str, str],
        limits: ExecutorLimits,
        elsewhere: Mapping[str, Launch] | None = None,
    ) -> None:
        self._jobs, self._limits = jobs, limits
        self._launches = {"": self._spawn, **(elsewhere or {})}
        self._away: set[asyncio.Task[None]] = set()
        self._command, self._environment, self._extra = tuple(command), environment, extra
        self._working: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        jobs.notify(self.wake)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends the children; their jobs are queued again, as they were. What runs elsewhere runs on."""
        self._stopping = True
        self._news.set()
        if self._task is not None:
            await self._task
        if self._working:
            await asyncio.wait(self._working)

    def wake(self) -> None:
        """Safe in any thread: looks for work at once."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def _run(self) -> None:
        pause, swept = SOON, float("-inf")
        while not self._stopping:
            try:
                pause = SOON if await self._start_next() else pause
                if time.monotonic() - swept > SWEEP_EVERY:
                    await asyncio.to_thread(self._jobs.sweep, time.time() - self._limits.days * DAY)
                    swept = time.monotonic()
            except Exception:
                log.exception("looking for jobs failed; it is tried again")
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
                pause = SOON
            except TimeoutError:
                pause = min(POLL, pause * 2)
            self._news.clear()

    async def _start_next(self) -> bool:
        """Whether there was one."""
        if len(self._working - self._away) >= self._limits.at_once:
            return False
        lease = await asyncio.to_thread(self._jobs.leases.claim, max_crashes=self._limits.crashes)
        if lease is None:
            return False
        task = asyncio.create_task(self._work(lease))
        self._working.add(task)
        if lease.job.arguments.get(ON):
            self._away.add(task)
        task.add_done_callback(self._worked)
        return True

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._away.discard(task)
        self._news.set()

    async def _spawn(self, lease: Lease) -> Process:
        command = (*self._command, lease.job.id, "--fence", str(lease.fence), "--parent", str(os.getpid()))
        return await Child.spawn(command, self._environment, self._extra)

    async def _work(self, lease: Lease) -> None:
        job, leases = lease.job.id, self._jobs.leases
        launch = self._launches.get(lease.job.arguments.get(ON) or "")
        if launch is None:
            await asyncio.to_thread(leases.finish, lease, "failed", None, "No cluster of this kind is configured here.")
            return
        outlives = False
        try:
            process = await launch(lease)
            outlives = process.outlives
            how = how_it_ended(await self._watch(lease, process))
            if process.last_words():
                log.warning("the last output of job %s:\n%s", job, process.last_words())
        except OSError as error:
            log.error("no process could be started for job %s: %s", job, error)
            how = "its process could not be started"
        try:
            if not self._stopping:
                await asyncio.to_thread(leases.crashed, lease, how, self._limits.crashes)
            elif not outlives:
                await asyncio.to_thread(leases.release, lease)
        except Exception:
            log.exception("the end of job %s could not be written; its lease will run out", job)

    async def _watch(self, lease: Lease, process: Process) -> int:
        """Its exit code. It is killed when it does not end in time after it was asked to."""
        ending = asyncio.ensure_future(process.wait())
        deadline: float | None = None
        told = False
        while not ending.done():
            if self._stopping and not told:
                process.terminate()
                told, deadline = True, time.monotonic() + self._limits.stop_grace
            elif deadline is None and await self._is_to_end(lease):
                deadline = time.monotonic() + self._limits.cancel_grace
            if deadline is not None and time.monotonic() > deadline:
                log.warning("job %s did not end when it was asked to; its process is killed", lease.job.id)
                process.kill()
            await asyncio.wait([ending], timeout=0.1 if told else POLL / 2)
        return await ending

    async def _is_to_end(self, lease: Lease) -> bool:
        """Cancelled, or lost to another process. (One that has finished looks lost, and ends by itself.)"""
        try:
            return await asyncio.to_thread(self._jobs.leases.is_cancelling, lease)
        except JobLost:
            return True
        except Exception:
            log.exception("job %s could not be looked at", lease.job.id)
            return False
