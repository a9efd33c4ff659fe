"""Jobs on a Ray cluster, through its Jobs REST API: one call submits the same command that runs a job here.

Nothing of Ray is installed beside the server. The nodes have Craton, and a CRATON_HOME whose config.toml names the same
database and blobs: the process there takes the lease over and writes to them itself, as it would here.

https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html. Ray without a token lets anybody
who reaches it run anything (CVE-2023-48022), so a token is always sent, and one must be configured.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from craton.core.errors import CratonError
from craton.core.job import Job, JobLost
from craton.jobs.leases import Lease, Leases

if TYPE_CHECKING:
    import httpx

POLL = 1.0  # seconds
TIMEOUT = 30.0
KEPT = 4_000  # characters of its output
WAITING = frozenset({"PENDING"})
EXIT_CODES = {"SUCCEEDED": 0, "FAILED": 1, "STOPPED": -15}

log = logging.getLogger(__name__)


class Cluster(Struct, frozen=True):
    """command: what runs a job on a node, before its id. home: CRATON_HOME there, "" for what the node has set. cpus:
    that the process reserves."""

    url: str
    command: str
    home: str
    cpus: float


class Refused(ConnectionError):
    """The cluster does not answer, or does not take the job."""


class Ray:
    """token: gives the cluster's, blocks, raises NotFound. client: the one outgoing client."""

    def __init__(
        self, cluster: Cluster, leases: Leases, client: Callable[[], httpx.AsyncClient], token: Callable[[], str]
    ) -> None:
        self._cluster, self._leases, self._client, self._token = cluster, leases, client, token

    async def launch(self, lease: Lease) -> RayProcess:
        """Raises Refused."""
        # Ray takes each name once: an attempt of the same job has another fence.
        name = f"craton-{lease.job.id}-{lease.fence}"
        await self._submit(lease.job, name, [lease.job.id, "--fence", str(lease.fence)], {})
        await asyncio.to_thread(self._leases.log, lease, f"It was handed to the Ray cluster as {name}.")
        return RayProcess(name, lease, self._leases, self.ask)

    async def help(self, job: Job, name: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        """Another process for a job that runs there already: the same command with these arguments, on any node that
        has room. Raises Refused."""
        await self._submit(job, name, arguments, variables)

    async def stop(self, name: str) -> None:
        """Whatever has become of it."""
        try:
            await self.ask("POST", f"/api/jobs/{name}/stop")
        except Refused as error:
            log.info("%s", error)

    async def _submit(self, job: Job, name: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        home = {"CRATON_HOME": self._cluster.home} if self._cluster.home else {}
        asked = {
            "entrypoint": f"{self._cluster.command} {shlex.join(arguments)}",
            "submission_id": name,
            "entrypoint_num_cpus": self._cluster.cpus,
            "runtime_env": {"env_vars": {**home, **variables}},
            "metadata": {"craton_job": job.id, "craton_subject": job.subject},
        }
        await self.ask("POST", "/api/jobs/", asked)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Raises Refused."""
        import httpx

        try:
            headers = {"authorization": f"Bearer {await asyncio.to_thread(self._token)}"}
            content = None if body is None else msgspec.json.encode(body)
            headers |= {"content-type": "application/json"}
            url = self._cluster.url.rstrip("/") + path
            response = await self._client().request(method, url, headers=headers, content=content, timeout=TIMEOUT)
        except (httpx.HTTPError, CratonError) as error:
            raise Refused(f"the Ray cluster could not be asked: {error or type(error).__name__}") from error
        if not response.is_success:
            raise Refused(f"the Ray cluster answered with status {response.status_code}: {response.text[:300]}")
        return msgspec.json.decode(response.content)


class RayProcess:
    """See `executor.Process`. It goes on when the server that submitted it ends."""

    outlives = True

    def __init__(self, name: str, lease: Lease, leases: Leases, ask: Callable[[str, str], Awaitable[Any]]) -> None:
        self._path, self._lease, self._leases, self._ask = f"/api/jobs/{name}", lease, leases, ask
        self._left = asyncio.Event()
        self._killing: asyncio.Task[None] | None = None
        self._words = ""

    async def wait(self) -> int:
        while not self._left.is_set():
            status = await self._status()
            if status in EXIT_CODES:
                await self._read_output()
                return EXIT_CODES[status]
            if status in WAITING:
                try:  # until a node has room, nobody else holds the lease
                    await asyncio.to_thread(self._leases.extend, self._lease)
                except JobLost:
                    self.kill()
            try:
                async with asyncio.timeout(POLL):
                    await self._left.wait()
            except TimeoutError:
                continue
        if self._killing is not None:
            await asyncio.wait([self._killing])
        return EXIT_CODES["STOPPED"]

    def terminate(self) -> None:
        """The server ends: what runs on the cluster runs on, and is only no longer watched."""
        self._left.set()

    def kill(self) -> None:
        if self._killing is None:
            self._killing = asyncio.create_task(self._stop())

    def last_words(self) -> str:
        return self._words

    async def _stop(self) -> None:
        try:
            await self._ask("POST", f"{self._path}/stop")
        except Refused as error:
            log.warning("%s; its lease decides", error)
        self._left.set()

    async def _status(self) -> str:
        """ "" when that cannot be told just now."""
        try:
            return str((await self._ask("GET", self._path))["status"])
        except Refused as error:
            log.warning("%s", error)
            return ""

    async def _read_output(self) -> None:
        try:
            self._words = str((await self._ask("GET", f"{self._path}/logs"))["logs"])[-KEPT:].strip()
        except Refused as error:
            log.warning("%s", error)
