"""Training, put together: for the server, which only submits, and for the process of a job."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from craton.app.clusters import places
from craton.app.platform import Platform
from craton.app.teams import TOKEN, Teams
from craton.app.viewing import COPIES
from craton.core.job import Job, Running
from craton.core.repo import RepoId
from craton.data.viewing.shelf import Shelf
from craton.data.viewing.viewer import Viewer
from craton.hub.admission import Admission
from craton.hub.reaching import Reaching
from craton.training.data.hub import HubDatasets
from craton.training.embedder import embedding
from craton.training.jobrun import Checkout, JobRun
from craton.training.outside import Asking
from craton.training.repositories import PINS, Checkouts
from craton.training.specification.methods import Specification
from craton.training.specification.tuning import Tuned
from craton.training.submitting import Trainings, code_refused
from craton.training.tracking.origins import Origins
from craton.training.tracking.reading import Runs
from craton.training.tracking.recorder import forget_points
from craton.training.tracking.scripts import Scripts
from craton.training.tuning.sources import Sources

if TYPE_CHECKING:  # what few jobs need is imported where it is used: every job's process begins here
    import httpx

    from craton.app.models import RunningModels
    from craton.serve.inference import Inference
    from craton.training.data.loading import Embedding
    from craton.training.running import TrainingParts
    from craton.wire.native_runs import RunsDialect
    from craton.wire.native_scripts import ScriptsDialect

RUNS = "runs"
"""The folder in CRATON_HOME that keeps runs' checkpoints."""


def open_trainings(platform: Platform, viewer: Viewer) -> Trainings:
    return Trainings(
        platform.database,
        platform.jobs,
        HubDatasets(viewer),
        _sources(platform, viewer),
        code=platform.settings.training.code,
        clusters=places(platform),
    )


def open_runs(platform: Platform) -> tuple[RunsDialect, ScriptsDialect]:
    from craton.wire.native_runs import RunsDialect
    from craton.wire.native_scripts import ScriptsDialect

    platform.jobs.forgetting(forget_points)
    reaching = Reaching(platform.database)

    def resolve(tenant: str, kind: Literal["model", "dataset"], path: str, revision: str) -> str:
        namespace, _, name = path.partition("/")
        reached = reaching.reach(tenant, RepoId(kind, namespace, name))
        return platform.hub.resolve(reached.owner, reached.repo, revision)

    runs = RunsDialect(Runs(platform.database, platform.jobs), resolve, Origins(platform.hub, reaching).stated)
    return runs, ScriptsDialect(Scripts(platform.database, platform.jobs, resolve))


@asynccontextmanager
async def training_parts(platform: Platform) -> AsyncIterator[TrainingParts]:
    """What the job needs, with readers and models of its own. Models start when a text is to be embedded."""
    from craton.training.running import TrainingParts

    reaching = Reaching(platform.database)
    shelf = Shelf(platform.home.path / "copies", COPIES)
    viewer = Viewer(platform.hub, reaching, Admission(platform.database), shelf, platform.blobs.path)
    models = _LateModels(platform)

    loop = asyncio.get_running_loop()
    teams: list[Teams] = []

    def start_run(running: Running, spec: Specification | Tuned) -> JobRun:
        teams.append(Teams(platform, running.job, loop))
        check_out = _checkout(platform, running.job)
        return JobRun(running, platform.home.path / RUNS, check_out, teams[-1].gather, models.asking(running))

    try:
        yield TrainingParts(
            hub=platform.hub,
            datasets=HubDatasets(viewer),
            embedding=models.embedding,
            start_run=start_run,
            private=platform.settings.hub.default_visibility == "private",
            sources=_sources(platform, viewer),
        )
    finally:
        for team in teams:
            await team.close()
        await viewer.close()
        await models.close()


async def helping(platform: Platform, job: Job, leader: str) -> None:
    """What a helper of the run does; see `training.team`."""
    from craton.training.running import helpers_work
    from craton.training.team.helping import help_run

    async with training_parts(platform) as parts:
        work = await helpers_work(job, parts)
        await help_run(leader, os.environ.get(TOKEN, ""), _checkout(platform, job), work)


def _sources(platform: Platform, viewer: Viewer) -> Sources:
    checkouts = Checkouts(platform.hub, Reaching(platform.database))
    return Sources(platform.buckets, HubDatasets(viewer), checkouts)


def _checkout(platform: Platform, job: Job) -> Checkout:
    """Of the revisions that the job was submitted with."""
    checkouts = Checkouts(platform.hub, Reaching(platform.database))
    pins = job.arguments.get(PINS) or {}

    def check_out(kind: Literal["model", "space"], ref: str, folder: Path) -> None:
        if kind == "space" and not platform.settings.training.code:
            raise code_refused()
        checkouts.check_out(job.tenant, kind, pins.get(ref, ref), folder)

    return check_out


class _LateModels:
    """Opened by the first text, question or address."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._loop = platform, asyncio.get_running_loop()
        self._models: RunningModels | None = None
        self._lock = asyncio.Lock()

    def embedding(self, tenant: str) -> Embedding:
        """Blocks: called in the training's thread."""
        models = asyncio.run_coroutine_threadsafe(self._opened(), self._loop).result()
        return embedding(models.inference, self._loop, tenant)

    def asking(self, running: Running) -> Asking:
        async def opened() -> tuple[Inference, httpx.AsyncClient]:
            models = await self._opened()
            return models.inference, models.outgoing.get()

        code = self._platform.settings.training.code
        return Asking(opened, self._loop, running.job.tenant, running.check, code=code)

    async def close(self) -> None:
        if self._models is not None:
            await self._models.close()

    async def _opened(self) -> RunningModels:
        from craton.app.models import RunningModels
        from craton.serve.telemetry import Fanout

        async with self._lock:
            if self._models is None:
                self._models = RunningModels(self._platform, Fanout([]), keep_content=False)
                await self._models.start(warm=False)
            return self._models
