"""Who helps a run: nodes of the cluster that it is on, or children of its own process."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from craton.app.clusters import RAY, ray_cluster
from craton.app.models import OutgoingClient
from craton.app.platform import Platform
from craton.children.process import clean_environment
from craton.core.job import Job
from craton.jobs.executor import ON
from craton.training.jobrun import JobRun
from craton.training.protocol import Team
from craton.training.team.alone import Alone
from craton.training.team.leading import Leading, Start

TOKEN = "CRATON_TEAM_TOKEN"
REACHING = 10.0  # seconds
LOOPBACK = "127.0.0.1"


class Teams:
    """Gathers for one run. loop: of the job's process, which runs while `gather` blocks in a thread."""

    def __init__(self, platform: Platform, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self._platform, self._job, self._loop = platform, job, loop
        self._client = OutgoingClient(platform.settings)

    def gather(self, size: int, here: bool, run: JobRun) -> Team:
        """See `training.jobrun.Gather`."""
        on_ray = self._job.arguments.get(ON) == RAY
        if size < 2 or not (on_ray or here):
            return Alone()
        try:
            start, address = self._on_ray() if on_ray else (self._child, LOOPBACK)
            return Leading(size, start, address, run.check, run.log)
        except OSError as error:
            run.warn(f"Nobody can help with this run, so it goes on alone: {error}")
            return Alone()

    async def close(self) -> None:
        await self._client.close()

    def _child(self, number: int, leader: str, token: str) -> Callable[[], None]:
        command = [sys.executable, "-s", "-P", "-m", "craton", "job", "run", *self._arguments(leader)]
        variables = {"CRATON_HOME": str(self._platform.home.path), TOKEN: token}
        if "TMPDIR" in os.environ:  # it is emptied at the end of the job
            variables["TMPDIR"] = os.environ["TMPDIR"]
        process = subprocess.Popen(
            [*command, "--parent", str(os.getpid())],
            env={**clean_environment(os.environ), **variables},
            stdin=subprocess.DEVNULL,
        )

        def stop() -> None:
            process.kill()
            process.wait()

        return stop

    def _on_ray(self) -> tuple[Start, str]:
        """Raises OSError."""
        settings = self._platform.settings.ray
        if settings is None:
            raise OSError("this node's config.toml has no [ray], by which it would ask for others")
        ray = ray_cluster(self._platform, settings, self._client.get)

        def start(number: int, leader: str, token: str) -> Callable[[], None]:
            name = f"craton-{self._job.id}-{token[:8]}-{number}"
            self._done(ray.help(self._job, name, self._arguments(leader), {TOKEN: token}))
            return lambda: self._done(ray.stop(name))

        return start, _address_towards(settings.url)

    def _arguments(self, leader: str) -> list[str]:
        return [self._job.id, "--tenant", self._job.tenant, "--leader", leader]

    def _done(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _address_towards(url: str) -> str:
    """This machine's own, as those see it who are reached the same way. Raises OSError."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with socket.create_connection((parts.hostname or "", port), REACHING) as connection:
        return str(connection.getsockname()[0])
