"""Runs one job in this process: the job's code on the event loop, a heartbeat in a thread beside it."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec
from sqlalchemy import Connection

from craton.core.chat import Json
from craton.core.errors import CratonError, Throttled, TooLarge
from craton.core.job import Job, JobCancelled, JobLost, Level, Progress, Running
from craton.jobs.leases import LEASE_SECONDS, Lease, Leases
from craton.jobs.queue import Jobs
from craton.jobs.rate import Rate

Handler = Callable[[Running], Awaitable[Json]]
"""The code of a kind of job. Its result is kept with the job."""

BEAT = 1.0  # seconds between two looks at the row
EXTEND_EVERY = LEASE_SECONDS / 4
REPORT_EVERY = 0.5
LOOK = 0.1
PATIENCE = 5.0  # seconds from asking the job's code to stop until its task is cancelled
LEAVING = 1.0  # the same when the process is to end, or the job is another's

log = logging.getLogger(__name__)


class RunningJob:
    """See `core.job.Running`. Safe in threads."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases, self._lease = leases, lease
        self._state = lease.state
        self._lock = threading.Lock()
        self._rate = Rate()
        self._waiting: Progress | None = None
        self._written = float("-inf")
        self._extended = time.monotonic()
        self.cancelled = False
        self.lost = False
        self.leaving = False

    @property
    def job(self) -> Job:
        return self._lease.job

    @property
    def given_up(self) -> bool:
        """Whether this process is to leave the job as it is, for another one."""
        return self.lost or self.leaving

    def leave(self) -> None:
        """This process is to end."""
        self.leaving = True

    def check(self) -> None:
        if self.given_up:
            raise JobLost()
        if self.cancelled:
            raise JobCancelled()

    def report(self, progress: Progress) -> None:
        now = time.monotonic()
        eta = self._rate.eta(now, progress.done, progress.total)
        with self._lock:
            self._waiting = progress if progress.eta is not None else msgspec.structs.replace(progress, eta=eta)
            if now - self._written < REPORT_EVERY:
                return  # the next report or heartbeat does
        self.flush()

    def flush(self) -> None:
        """Writes the last report if it was held back. Raises JobLost."""
        with self._lock:
            progress, self._waiting = self._waiting, None
            if progress is not None:
                self._written = time.monotonic()
                with suppress(Throttled), self._noticing():  # the next one will be written
                    self._leases.report(self._lease, progress)

    def log(self, message: str, level: Level = "info") -> None:
        with self._noticing():
            self._leases.log(self._lease, message, level)

    def load(self) -> Json | None:
        return self._state

    def save(self, state: Json) -> None:
        with self._noticing():
            self._leases.save(self._lease, state)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.lost:
            raise JobLost()
        with self._noticing(), self._leases.writing(self._lease) as connection:
            yield connection

    def beat(self) -> None:
        """What the heartbeat does each time."""
        with suppress(JobLost), self._noticing():
            if self._leases.is_cancelling(self._lease):
                self.cancelled = True
            now = time.monotonic()
            if now - self._extended > EXTEND_EVERY:
                self._leases.extend(self._lease)
                self._extended = now
            self.flush()

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except JobLost:
            self.lost = True
            raise


async def run(jobs: Jobs, job: str, handlers: Mapping[str, Handler], fence: int | None = None) -> bool:
    """Works on the job until it ends, is lost, or the process is asked to end (SIGTERM, which gives it back).

    fence: of the lease that an executor took for this process; None takes one. Whether this process had the job.
    """
    leases = jobs.leases
    try:
        lease = leases.claim(job) if fence is None else leases.adopt(job, fence)
    except JobLost:
        return False
    if lease is None:
        return False
    running = RunningJob(leases, lease)
    with suppress(JobLost):
        await _attempt(leases, lease, running, handlers.get(lease.job.kind))
    return True


async def _attempt(leases: Leases, lease: Lease, running: RunningJob, handler: Handler | None) -> None:
    if handler is None:
        leases.finish(lease, "failed", error=f"This Craton knows no jobs of the kind {lease.job.kind!r}.")
        return
    work = asyncio.ensure_future(handler(running))
    try:
        with _on_signals(running), _beating(running):
            await _supervise(work, running)
    except BaseException:
        work.cancel()
        await asyncio.wait([work])
        leases.release(lease)
        raise
    if running.leaving and not _succeeded(work):
        leases.release(lease)
    else:
        running.flush()
        _finish(leases, lease, running, work)


async def _supervise(work: asyncio.Future[Json], running: RunningJob) -> None:
    """Returns when the work has ended. What does not end by itself after it was asked to is cancelled, once."""
    asked = None
    while not work.done():
        await asyncio.wait([work], timeout=LOOK)
        now = time.monotonic()
        if asked is None and (running.cancelled or running.given_up):
            asked = now
        elif asked is not None and now - asked > (LEAVING if running.given_up else PATIENCE):
            work.cancel()
            await asyncio.wait([work])


def _succeeded(work: asyncio.Future[Json]) -> bool:
    return not work.cancelled() and work.exception() is None


def _finish(leases: Leases, lease: Lease, running: RunningJob, work: asyncio.Future[Json]) -> None:
    job = lease.job.id
    match asyncio.CancelledError() if work.cancelled() else work.exception():
        case None:
            try:
                leases.finish(lease, "succeeded", result=work.result())
            except TooLarge as error:
                leases.finish(lease, "failed", error=str(error))
        case JobLost():
            log.warning("job %s was taken over by another process", job)
        case JobCancelled() | asyncio.CancelledError() if not running.lost:
            leases.finish(lease, "cancelled")
        case CratonError() as error:
            leases.finish(lease, "failed", error=str(error))
        case error:
            log.error("job %s failed", job, exc_info=error)
            leases.finish(lease, "failed", error=f"An internal error happened. The log has it under the job {job}.")


@contextmanager
def _on_signals(running: RunningJob) -> Iterator[None]:
    """Only in the main thread can signals be heard; elsewhere there is nobody to send them."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    for number in signals:
        loop.add_signal_handler(number, running.leave)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextmanager
def _beating(running: RunningJob) -> Iterator[None]:
    """A thread, because the job's code may hold the event loop."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                running.beat()
            except Exception:
                log.exception("the heartbeat of job %s failed; it is tried again", running.job.id)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
