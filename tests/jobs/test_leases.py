"""One process at a time has a job, and only that one writes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from craton.core.job import Job, JobLost, Progress
from craton.jobs import leases as module
from craton.jobs.identity import has_died, this_process
from craton.jobs.leases import Lease
from craton.jobs.queue import Jobs
from tests.jobs.conftest import Clock

Submit = Callable[..., Job]


def claimed(jobs: Jobs, job: str | None = None, **options: int) -> Lease:
    lease = jobs.leases.claim(job, **options)
    assert lease is not None
    return lease


def test_a_job_is_claimed_once(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    lease = claimed(jobs)
    assert (lease.job.id, lease.job.status, lease.job.attempt, lease.fence) == (job.id, "running", 1, 1)
    assert jobs.leases.claim() is None
    assert jobs.leases.claim(job.id) is None


def test_many_who_claim_at_once_get_each_job_once(jobs: Jobs, submit: Submit) -> None:
    made = {submit().id for _ in range(12)}
    got: list[str] = []

    def work() -> None:
        while (lease := jobs.leases.claim()) is not None:
            got.append(lease.job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(made)


def test_the_tenant_with_the_fewest_running_jobs_comes_next(jobs: Jobs, submit: Submit, clock: Clock) -> None:
    for tenant in ("acme", "acme", "acme", "umbrella"):
        clock.now += 1
        submit(tenant=tenant)
    assert [claimed(jobs).job.tenant for _ in range(4)] == ["acme", "umbrella", "acme", "acme"]


def test_a_lease_that_ended_goes_to_the_next_with_a_higher_fence_and_the_old_one_writes_nothing(
    jobs: Jobs, submit: Submit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "this_process", lambda: "another-machine:1/2/3")
    submit()
    stale = claimed(jobs)
    jobs.leases.save(stale, {"at": 7})
    clock.now += module.LEASE_SECONDS - 1
    assert jobs.leases.claim() is None
    clock.now += 2
    lease = claimed(jobs)
    assert (lease.fence, lease.job.attempt, lease.state) == (stale.fence + 1, 2, {"at": 7})
    writes: list[Callable[[], object]] = [
        lambda: jobs.leases.writing(stale).__enter__(),
        lambda: jobs.leases.save(stale, {"at": 8}),
        lambda: jobs.leases.report(stale, Progress(8)),
        lambda: jobs.leases.log(stale, "still here"),
        lambda: jobs.leases.extend(stale),
        lambda: jobs.leases.is_cancelling(stale),
        lambda: jobs.leases.finish(stale, "succeeded"),
    ]
    for write in writes:
        with pytest.raises(JobLost):
            write()
    jobs.leases.release(stale)
    jobs.leases.crashed(stale, "it slept")
    assert jobs.get("acme", lease.job.id).status == "running"
    jobs.leases.finish(lease, "succeeded", {"at": 9})
    with pytest.raises(JobLost):
        jobs.leases.finish(lease, "failed")
    assert jobs.get("acme", lease.job.id).result == {"at": 9}


def test_what_is_written_under_a_lease_is_one_transaction(jobs: Jobs, submit: Submit) -> None:
    job, other = submit(), submit()
    lease = claimed(jobs, job.id)
    with suppress(ZeroDivisionError), jobs.leases.writing(lease) as connection:
        jobs.cancel("acme", other.id, connection)
        raise ZeroDivisionError
    assert jobs.get("acme", other.id).status == "queued"
    with jobs.leases.writing(lease) as connection:
        jobs.cancel("acme", other.id, connection)
    assert jobs.get("acme", other.id).status == "cancelled"


def test_a_lease_that_is_extended_stays(jobs: Jobs, submit: Submit, clock: Clock) -> None:
    submit()
    lease = claimed(jobs)
    for _ in range(5):
        clock.now += module.LEASE_SECONDS - 1
        jobs.leases.extend(lease)
    assert jobs.leases.claim() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a process began")
def test_a_process_that_was_killed_is_known_at_once(
    jobs: Jobs, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys; from craton.jobs.identity import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        owner = process.stdout.readline().strip()
        monkeypatch.setattr(module, "this_process", lambda: owner)
        submit()
        claimed(jobs)
        assert not has_died(owner)
        assert jobs.leases.claim() is None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # nobody has asked for its exit code yet
        assert has_died(owner)
        assert claimed(jobs).job.attempt == 2
    assert not has_died(this_process())
    assert not has_died("another-machine:1/2/3")
    assert not has_died(None)


def test_a_job_that_crashes_waits_a_little_longer_each_time_and_is_then_given_up(
    jobs: Jobs, submit: Submit, clock: Clock
) -> None:
    job = submit(exclusive="one")
    for attempt in range(1, 4):
        lease = claimed(jobs)
        assert lease.job.attempt == attempt
        jobs.leases.crashed(lease, "its process was killed by SIGSEGV", max_crashes=3)
        assert jobs.leases.claim() is None
        clock.now += 10
    found = jobs.get("acme", job.id)
    assert found.status == "failed"
    assert found.error == (
        "It was given up after 3 attempts in a row that got no further: its process was killed by SIGSEGV."
    )
    assert [event.level for event in jobs.events("acme", job.id)] == ["warning"] * 3 + ["error"]
    submit(exclusive="one")


@pytest.mark.parametrize("further", ["done", "state"])
def test_crashes_count_only_while_the_job_gets_no_further(
    jobs: Jobs, submit: Submit, clock: Clock, further: str
) -> None:
    submit()
    for attempt in range(10):
        lease = claimed(jobs, max_crashes=3)
        if further == "done":
            jobs.leases.report(lease, Progress(0))
            jobs.leases.report(lease, Progress(min(attempt + 1, 5)))
        else:
            jobs.leases.save(lease, {"at": min(attempt + 1, 5)})
        clock.now += 1000  # the lease ends
        if lease.job.attempt == 7:
            break
    assert jobs.leases.claim(max_crashes=3) is None
    assert jobs.list("acme", ["failed"]).jobs[0].attempt == 7


def test_a_job_whose_process_went_away_while_it_was_cancelled_is_cancelled(
    jobs: Jobs, submit: Submit, clock: Clock
) -> None:
    first, second = submit(), submit()
    claimed(jobs, first.id)
    jobs.leases.crashed(claimed(jobs, second.id), "it broke")
    jobs.cancel("acme", first.id)
    jobs.cancel("acme", second.id)
    clock.now += 1000
    assert jobs.leases.claim() is None
    assert [job.status for job in jobs.list("acme").jobs] == ["cancelled", "cancelled"]


def test_a_job_that_is_given_back_is_as_if_it_had_never_run(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    lease = claimed(jobs)
    jobs.leases.save(lease, {"at": 1})
    jobs.leases.release(lease)
    assert jobs.get("acme", job.id).status == "queued"
    again = claimed(jobs)
    assert (again.job.attempt, again.state) == (1, {"at": 1})
    with pytest.raises(JobLost):
        jobs.leases.extend(lease)


def test_a_lease_can_be_taken_for_another_process(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    lease = claimed(jobs)
    assert jobs.leases.adopt(job.id, lease.fence) == lease
    for wrong in (0, lease.fence + 1):
        with pytest.raises(JobLost):
            jobs.leases.adopt(job.id, wrong)
