"""The code of a customization job, killed, stopped and failing at each of its steps. The training here is one that is
quickly done: a few points and a small repository; tests/customizing/test_jobs.py has a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.chat import Json
from craton.core.errors import Conflict, InvalidRequest, NotFound
from craton.core.job import JobCancelled, JobLost, Running
from craton.core.repo import RepoId
from craton.customizing.curves import Curves
from craton.customizing.customizations import Customizations, NewCustomization
from craton.customizing.job import CustomizeParts, customize
from craton.customizing.models import CustomModels
from craton.customizing.rows import Listing
from craton.customizing.values import Customization
from craton.jobs.running import run
from craton.training.artifacts.publishing import publish
from craton.training.tracking.recorder import Recorder, forget_points

TENANT = "default"
REPO = RepoId("model", "custom", "tuned")
DAY = 86_400.0


class Trainer:
    """dies: where an attempt ends as if its process had been killed, "" nowhere. trainings: how many were begun."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.folder = platform, folder
        self.trainings, self.dies = 0, ""
        self.error: Exception | None = None
        (folder / "model.json").write_text("{}")

    async def train(self, running: Running, _arguments: Json) -> Json:
        self.trainings += 1
        recorder = Recorder(running)
        for step in (1, 2):
            recorder.add("training_loss", 2.0 / step, step)
            recorder.add("epoch", step / 2, step)
        recorder.close()
        if isinstance(self.error, JobCancelled):
            self.platform.jobs.cancel(TENANT, running.job.id)
        if self.error is not None:
            raise self.error
        self.die("trained")
        revision = publish(self.platform.hub, TENANT, "craton", REPO, "main", self.folder, running.job.id, private=True)
        self.die("published")
        return {"model": REPO.path, "revision": revision}

    def die(self, where: str) -> None:
        if self.dies == where:
            raise JobLost()

    async def attempt(self, one: Customization) -> None:
        trainer, platform = self, self.platform

        class DyingCurves(Curves):
            async def write(self, one: Customization) -> None:
                trainer.die("before the curves")
                await super().write(one)
                trainer.die("after the curves")

        parts = CustomizeParts(
            platform.database,
            self.train,
            DyingCurves(platform.database, platform.buckets),
            lambda tenant, path: platform.hub.delete(tenant, RepoId("model", *path.split("/"))),
        )

        async def handle(running: Running) -> Json:
            return await customize(running, running.job.arguments, parts)

        await run(platform.jobs, one.job, {"customize": handle})


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    platform = open_platform(Home(tmp_path / "home"))
    platform.buckets.create(TENANT, "out")
    yield platform
    platform.close()


@pytest.fixture
def trainer(platform: Platform, tmp_path: Path) -> Trainer:
    (tmp_path / "made").mkdir()
    return Trainer(platform, tmp_path / "made")


@pytest.fixture
def jobs(platform: Platform) -> Customizations:
    async def prepare(_tenant: str, new: NewCustomization, _id: str) -> Json:
        return {"specification": new.document}

    made = Customizations(platform.database, platform.jobs, prepare, time.time)
    platform.jobs.forgetting(forget_points)
    return made


@pytest.fixture
def models(platform: Platform) -> CustomModels:
    return CustomModels(platform.hub, platform.jobs, time.time)


def asked(name: str = "job", output: str = "tuned") -> NewCustomization:
    return NewCustomization(name, output, "fine-tuning", "base", {"method": "fine-tuning"}, "out", "runs/")


def end_lease(platform: Platform, job: str) -> None:
    """As when the process that had it is seen to be gone."""
    with platform.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs_jobs SET status = 'queued', lease_until = NULL, owner = NULL")
    assert platform.jobs.get(TENANT, job).status == "queued"


@pytest.mark.anyio
@pytest.mark.parametrize("dies", ["trained", "published", "before the curves", "after the curves"])
async def test_killed_anywhere_it_ends_with_one_model_that_nobody_saw_before(
    platform: Platform, trainer: Trainer, jobs: Customizations, models: CustomModels, dies: str
) -> None:
    one = await jobs.create(TENANT, asked())
    trainer.dies = dies
    await trainer.attempt(one)
    assert (await jobs.get(TENANT, "job")).status == "in_progress"
    assert await models.list(TENANT, Listing()) == ([], "")
    end_lease(platform, one.job)
    trainer.dies = ""
    await trainer.attempt(one)
    done = await jobs.get(TENANT, "job")
    assert done.status == "completed"
    ((model,), _) = await models.list(TENANT, Listing())
    assert (model.id, model.repo) == (done.model, "custom/tuned")
    assert len(platform.hub.history(TENANT, REPO, "main", limit=9)) == 1
    assert trainer.trainings == (1 if "curves" in dies else 2)
    key = f"runs/model-customization-job-{one.id}/training_artifacts/step_wise_training_metrics.csv"
    text = b"".join([block async for block in platform.buckets.read(TENANT, "out", key)]).decode()
    assert text.splitlines()[1:] == ["0,0,2,7.38906", "1,0,1,2.71828"]  # e squared, e


@pytest.mark.anyio
async def test_what_fails_says_why_and_its_models_name_is_free(
    trainer: Trainer, jobs: Customizations, models: CustomModels
) -> None:
    one = await jobs.create(TENANT, asked())
    trainer.error = InvalidRequest("line 601: it is not JSON. 600 of 601 records are good", "data.ref")
    await trainer.attempt(one)
    failed = await jobs.get(TENANT, "job")
    assert (failed.status, failed.failure) == ("failed", str(trainer.error))
    assert (failed.phases.processing.status, failed.phases.training.status) == ("completed", "failed")
    assert await models.list(TENANT, Listing()) == ([], "")
    await jobs.create(TENANT, asked("again"))


@pytest.mark.anyio
async def test_what_is_stopped_while_it_trains_is_stopped(trainer: Trainer, jobs: Customizations) -> None:
    one = await jobs.create(TENANT, asked())
    trainer.error = JobCancelled()
    await trainer.attempt(one)
    stopped = await jobs.get(TENANT, "job")
    assert (stopped.status, stopped.phases.training.status) == ("stopped", "stopped")
    with pytest.raises(Conflict):
        await jobs.stop(TENANT, "job")


@pytest.mark.anyio
async def test_a_bucket_that_is_gone_fails_the_job_and_takes_what_was_published(
    platform: Platform, trainer: Trainer, jobs: Customizations
) -> None:
    one = await jobs.create(TENANT, asked())
    await asyncio.to_thread(platform.buckets.delete, TENANT, "out")
    await trainer.attempt(one)
    assert "bucket" in (await jobs.get(TENANT, "job")).failure
    with pytest.raises(NotFound):
        platform.hub.get(TENANT, REPO)


@pytest.mark.anyio
async def test_a_jobs_end_is_known_when_the_queue_has_forgotten_it(
    platform: Platform, trainer: Trainer, jobs: Customizations
) -> None:
    crashed = await jobs.create(TENANT, asked("crashed", "other"))
    await jobs.stop(TENANT, "crashed")
    done = await jobs.create(TENANT, asked())
    await trainer.attempt(done)
    before = [await jobs.get(TENANT, name) for name in ("crashed", "job")]
    assert [one.status for one in before] == ["stopped", "completed"]
    assert platform.jobs.sweep(time.time() + DAY) == 2
    after = [await jobs.get(TENANT, name) for name in ("crashed", "job")]
    assert [(one.status, one.losses, one.phases) for one in after] == [
        (one.status, one.losses, one.phases) for one in before
    ]
    assert [one.id for one in (await jobs.list(TENANT, Listing(status="stopped")))[0]] == [crashed.id]


@pytest.mark.anyio
async def test_a_repository_that_is_somebodys_work_is_not_written_over(
    platform: Platform, jobs: Customizations, models: CustomModels
) -> None:
    platform.hub.create(TENANT, REPO)
    with pytest.raises(Conflict, match="custom/tuned"):
        await jobs.create(TENANT, asked())
