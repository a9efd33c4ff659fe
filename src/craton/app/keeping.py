"""Keeping of stored bytes: what a server does by itself, and the jobs that do it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import partial
from typing import Any

import msgspec

from craton.access.tenants import DEFAULT_TENANT
from craton.app.config import parse_bytes
from craton.app.platform import Platform
from craton.core.chat import Json
from craton.core.errors import Conflict
from craton.core.job import JobSpec, Progress, Running
from craton.hub.keeping.affected import affected
from craton.hub.keeping.collecting import Collector
from craton.hub.keeping.scanning import Scanner
from craton.hub.keeping.scrubbing import PREFIXES, Health, Scrubbed, Scrubber
from craton.knowledge.keeping import named_blobs

HOUR, DAY = 3600.0, 86400.0
LOOK_EVERY = 60.0  # seconds, for what is due
SCAN_EVERY = 2.0
TOLD = 20  # affected files that a job's log names

log = logging.getLogger("craton.keeping")


def collector(platform: Platform) -> Collector:
    grace = platform.settings.blobs.grace_hours * HOUR
    named = [partial(named_blobs, platform.database)]
    return Collector(platform.database, platform.store, named, time.time, grace)


def scrubber(platform: Platform, rate: str = "") -> Scrubber:
    wanted = rate or platform.settings.blobs.scrub_rate
    return Scrubber(platform.database, platform.store, time.time, max(parse_bytes(wanted, "rate"), 1))


def scrub_spec() -> JobSpec:
    """The operator's jobs are the default tenant's."""
    return JobSpec(DEFAULT_TENANT, "scrub", {}, "stored bytes", "scrub")


def collect_spec() -> JobSpec:
    return JobSpec(DEFAULT_TENANT, "collect", {}, "stored bytes", "collect")


async def collect(running: Running, platform: Platform) -> Json:
    """The job. Begun again from the start: what was done is done."""

    def progress(what: str, count: int) -> None:
        running.check()
        running.report(Progress(count, None, "", what))

    found = await asyncio.to_thread(collector(platform).collect, progress)
    result: Json = msgspec.to_builtins(found)
    return result


async def scrub(running: Running, platform: Platform) -> Json:
    """The job. It goes on where an earlier attempt was, within a 256th of all."""

    def work() -> Json:
        state: Any = running.load() or {}
        done = msgspec.convert(state.get("done", {}), Scrubbed)
        keeper, saved = scrubber(platform), -1
        for part in keeper.scrub(done, int(state.get("part", 0))):
            running.check()
            running.report(Progress(part, PREFIXES, "parts", f"{done.blobs:,} blobs"))
            if part != saved:
                running.save({"part": part, "done": msgspec.to_builtins(done)})
                saved = part
        broken = keeper.broken()
        files = affected(platform.database, broken)
        for file in files[:TOLD]:
            where = file.ref or "older commits"
            running.log(f"{file.repo.path} of {file.tenant}: {file.path} in {where} is damaged", "error")
        return {**msgspec.to_builtins(done), "broken": len(broken), "files": len(files)}

    return await asyncio.to_thread(work)


class RunningKeeping:
    """`start` and `stop` with the server. Other servers on the same database do no harm. health: as of a minute ago."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stopping = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.health = Health()

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._repeat(self._submit_due, LOOK_EVERY)),
            asyncio.create_task(self._repeat(self._scan, SCAN_EVERY)),
        ]

    async def stop(self) -> None:
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, work: Any, pause: float) -> None:
        while True:
            try:
                await asyncio.to_thread(work)
            except Exception:
                log.exception("keeping stored bytes failed; it is tried again")
            await asyncio.sleep(pause)

    def _scan(self) -> None:
        Scanner(self._platform.database, self._platform.blobs).work(self._stopping.is_set)

    def _submit_due(self) -> None:
        self.health = scrubber(self._platform).health()
        blobs = self._platform.settings.blobs
        self._submit(collect_spec(), blobs.collect_hours * HOUR)
        self._submit(scrub_spec(), blobs.scrub_days * DAY)

    def _submit(self, spec: JobSpec, every: float) -> None:
        """Unless one was submitted not long ago. A new home's first comes after the first span, not at once."""
        if not every:
            return
        jobs, now = self._platform.jobs, time.time()
        last = jobs.list(spec.tenant, kind=spec.kind, limit=1).jobs
        since = last[0].created if last else self._born()
        if now - since < every:
            return
        try:
            with self._platform.database.write() as connection:
                jobs.submit(connection, spec)
        except Conflict:
            pass  # it runs still

    def _born(self) -> float:
        """When the home was made."""
        return self._platform.home.root_key.stat().st_mtime
