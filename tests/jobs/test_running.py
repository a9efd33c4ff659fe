"""What the code of a job may rely on, and what becomes of it. Each job runs in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from craton.core.chat import Json
from craton.core.errors import Unsupported
from craton.core.job import Job, JobCancelled, JobLost, Progress, Running
from craton.jobs import leases as leases_module
from craton.jobs import rows
from craton.jobs.leases import Lease
from craton.jobs.queue import Jobs
from craton.jobs.running import run
from craton.store.database import Database
from tests.jobs.conftest import Clock, wait_until

pytestmark = pytest.mark.anyio

Submit = Callable[..., Job]


async def ran(jobs: Jobs, job: Job, code: Callable[[Running], Awaitable[Json]]) -> Job:
    assert await run(jobs, job.id, {"count": code})
    return jobs.get(job.tenant, job.id)


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, true)


async def test_what_its_code_returns_is_the_result(jobs: Jobs, submit: Submit) -> None:
    async def code(running: Running) -> Json:
        running.log("counting")
        running.report(Progress(3, 3, "numbers"))
        return {"sum": sum(running.job.arguments["numbers"])}

    job = await ran(jobs, submit(numbers=[1, 2, 3]), code)
    assert (job.status, job.result, job.error) == ("succeeded", {"sum": 6}, "")
    assert job.progress == Progress(3, 3, "numbers")
    assert [event.message for event in jobs.events("acme", job.id)] == ["counting"]
    assert job.created == job.started == job.ended
    assert not await run(jobs, job.id, {})


async def test_an_error_of_cratons_is_told_to_its_owner(jobs: Jobs, submit: Submit) -> None:
    async def code(_: Running) -> Json:
        raise Unsupported("reading minds", "Write it down.")

    job = await ran(jobs, submit(), code)
    assert (job.status, job.error) == ("failed", "reading minds is not supported. Write it down.")


async def test_any_other_error_is_told_to_the_log_alone(
    jobs: Jobs, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    async def code(_: Running) -> Json:
        raise RuntimeError("/secret/path")

    job = await ran(jobs, submit(), code)
    assert (job.status, job.error) == (
        "failed",
        f"An internal error happened. The log has it under the job {job.id}.",
    )
    assert "/secret/path" in caplog.text
    assert job.id in caplog.text
    assert "/secret" not in repr(jobs.events("acme", job.id))


async def test_an_unknown_kind_and_a_result_that_is_too_large_fail(jobs: Jobs, submit: Submit) -> None:
    async def code(_: Running) -> Json:
        return {"text": "x" * rows.MAX_JSON}

    assert "result of a job" in (await ran(jobs, submit(), code)).error
    job = submit("strange")
    assert await run(jobs, job.id, {})
    assert jobs.get("acme", job.id).error == "This Craton knows no jobs of the kind 'strange'."


async def test_a_cancelled_job_ends_at_its_next_check(jobs: Jobs, submit: Submit) -> None:
    seen = list[type[BaseException]]()

    async def code(running: Running) -> Json:
        jobs.cancel("acme", running.job.id)
        try:
            while True:
                running.check()
                await asyncio.sleep(0.01)
        except JobCancelled as error:
            seen.append(type(error))
            with running.writing():
                pass  # it may still put things in order
            raise

    job = await ran(jobs, submit(), code)
    assert (job.status, seen) == ("cancelled", [JobCancelled])


async def test_a_cancelled_job_that_never_checks_is_cancelled_by_force(
    jobs: Jobs, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("craton.jobs.running.PATIENCE", 0.1)

    async def code(running: Running) -> Json:
        jobs.cancel("acme", running.job.id)
        await asyncio.sleep(600)
        return {}

    assert (await ran(jobs, submit(), code)).status == "cancelled"


async def test_a_job_that_ends_well_though_it_was_cancelled_succeeded(jobs: Jobs, submit: Submit) -> None:
    async def code(running: Running) -> Json:
        jobs.cancel("acme", running.job.id)
        return {}

    assert (await ran(jobs, submit(), code)).status == "succeeded"


async def test_a_process_that_lost_its_job_learns_it_and_writes_nothing(
    jobs: Jobs, submit: Submit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "this_process", lambda: "another-machine:1/2/3")
    seen = list[str]()

    async def code(running: Running) -> Json:
        clock.now += 1000  # this process slept
        assert jobs.leases.claim(running.job.id) is not None
        try:
            with running.writing():
                seen.append("wrote")
        except JobLost:
            seen.append("refused")
        try:
            running.check()
        except JobLost:
            seen.append("told")
        return {"though": "it goes on"}

    job = await ran(jobs, submit(), code)
    assert (job.status, job.attempt, job.result, seen) == ("running", 2, None, ["refused", "told"])


async def test_the_heartbeat_tells_a_process_that_waits_that_its_job_is_lost(
    jobs: Jobs, submit: Submit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases_module, "this_process", lambda: "another-machine:1/2/3")

    async def code(running: Running) -> Json:
        clock.now += 1000
        assert jobs.leases.claim(running.job.id) is not None
        await asyncio.sleep(600)
        return {}

    assert (await ran(jobs, submit(), code)).attempt == 2


async def test_the_heartbeat_keeps_the_lease_while_the_code_holds_the_loop(
    database: Database, jobs: Jobs, submit: Submit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("craton.jobs.running.EXTEND_EVERY", 0.0)

    def until_when(job: str) -> float:
        with database.read() as connection:
            return float(
                connection.execute(text("SELECT lease_until FROM jobs_jobs WHERE id = :id"), {"id": job}).scalar_one()
            )

    async def code(running: Running) -> Json:
        clock.now += 20
        wait_until(lambda: until_when(running.job.id) >= clock.now + leases_module.LEASE_SECONDS)
        return {}

    assert (await ran(jobs, submit(), code)).status == "succeeded"


async def test_what_was_saved_is_there_for_the_next_attempt(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    first = jobs.leases.claim(job.id)
    assert first is not None
    jobs.leases.save(first, {"at": [1, 2], "name": "ü"})
    jobs.leases.release(first)

    async def code(running: Running) -> Json:
        state = running.load()
        running.save({"at": [3]})
        return {"state": state}

    assert (await ran(jobs, job, code)).result == {"state": {"at": [1, 2], "name": "ü"}}


async def test_frequent_reports_cost_few_writes_and_the_last_one_is_kept(
    jobs: Jobs, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[Progress]()
    report = jobs.leases.report

    def counted(lease: Lease, progress: Progress) -> None:
        written.append(progress)
        report(lease, progress)

    monkeypatch.setattr(jobs.leases, "report", counted)

    async def code(running: Running) -> Json:
        began = time.monotonic()
        for number in range(2000):
            running.report(Progress(number + 1, 2000, "numbers", f"number {number}"))
        assert len(written) <= 2 + (time.monotonic() - began) * 3
        return {}

    job = await ran(jobs, submit(), code)
    assert (job.progress.done, job.progress.total) == (2000, 2000)


async def test_a_process_that_is_told_to_end_gives_the_job_back(jobs: Jobs, submit: Submit) -> None:
    async def code(running: Running) -> Json:
        running.save({"at": 1})
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            running.check()
            await asyncio.sleep(0.01)

    job = await ran(jobs, submit(), code)
    assert (job.status, job.attempt) == ("queued", 0)
    again = jobs.leases.claim(job.id)
    assert again is not None
    assert again.state == {"at": 1}


async def test_a_run_that_is_cancelled_from_outside_gives_the_job_back(jobs: Jobs, submit: Submit) -> None:
    async def code(_: Running) -> Json:
        await asyncio.sleep(600)
        return {}

    job = submit()
    task = asyncio.create_task(run(jobs, job.id, {"count": code}))
    await until(lambda: jobs.get("acme", job.id).status == "running")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert jobs.get("acme", job.id).status == "queued"
