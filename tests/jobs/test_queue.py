"""What owners of jobs may rely on, on both kinds of database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from craton.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from craton.core.job import Job, JobSpec
from craton.jobs import rows
from craton.jobs.queue import Jobs
from craton.store.database import Database
from tests.jobs.conftest import Clock

Submit = Callable[..., Job]


def test_a_job_is_there_when_and_only_when_its_transaction_commits(database: Database, jobs: Jobs) -> None:
    with suppress(ZeroDivisionError), database.write() as connection:
        lost = jobs.submit(connection, JobSpec("acme", "count", {}))
        raise ZeroDivisionError
    with pytest.raises(NotFound):
        jobs.get("acme", lost.id)
    with database.write() as connection:
        kept = jobs.submit(connection, JobSpec("acme", "count", {"to": 3}, "three numbers"))
    assert jobs.get("acme", kept.id) == kept
    assert (kept.status, kept.attempt, kept.arguments) == ("queued", 0, {"to": 3})


def test_of_exclusive_jobs_a_tenant_has_one_unfinished(jobs: Jobs, submit: Submit) -> None:
    first = submit(exclusive="ingest:handbook")
    submit(exclusive="ingest:other")
    submit(exclusive="ingest:handbook", tenant="umbrella")
    with pytest.raises(Conflict) as conflict:
        submit(exclusive="ingest:handbook")
    assert conflict.value.name == first.id
    jobs.cancel("acme", first.id)
    submit(exclusive="ingest:handbook")


def test_an_exclusive_job_that_ran_makes_room_however_it_ended(jobs: Jobs, submit: Submit) -> None:
    for status in ("succeeded", "failed", "cancelled"):
        submit(exclusive="one")
        lease = jobs.leases.claim()
        assert lease is not None
        with pytest.raises(Conflict):
            submit(exclusive="one")
        jobs.leases.finish(lease, status)  # type: ignore[arg-type]  # one of its three


def test_another_tenants_job_looks_like_an_absent_one(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    for call in (jobs.get, jobs.cancel, jobs.events):
        with pytest.raises(NotFound) as foreign:
            call("umbrella", job.id)
        with pytest.raises(NotFound) as absent:
            call("umbrella", "absent")
        assert str(foreign.value).replace(job.id, "absent") == str(absent.value)
    assert jobs.list("umbrella").jobs == ()
    assert jobs.get("acme", job.id).status == "queued"


def test_pages_hold_every_job_once_the_newest_first(jobs: Jobs, submit: Submit, clock: Clock) -> None:
    made = []
    for number in range(7):
        clock.now += number % 2  # some were made at the same moment
        made.append(submit().id)
    seen, cursor = list[str](), ""
    while True:
        page = jobs.list("acme", limit=2, cursor=cursor)
        seen += [job.id for job in page.jobs]
        if not (cursor := page.cursor):
            break
    assert seen == made[::-1]
    with pytest.raises(InvalidRequest):
        jobs.list("acme", cursor="nonsense")


def test_lists_can_be_of_some_statuses_and_kinds(jobs: Jobs, submit: Submit) -> None:
    first, second, third = submit("count"), submit("ingest"), submit("count")
    jobs.cancel("acme", third.id)
    assert [job.id for job in jobs.list("acme", ["queued"]).jobs] == [second.id, first.id]
    assert [job.id for job in jobs.list("acme", ["queued", "cancelled"], "count").jobs] == [third.id, first.id]


def test_a_queued_job_that_is_cancelled_ends_at_once(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    cancelled = jobs.cancel("acme", job.id)
    assert cancelled.status == "cancelled"
    assert cancelled.ended is not None
    assert jobs.leases.claim(job.id) is None
    assert jobs.cancel("acme", job.id) == cancelled


def test_a_running_job_that_is_cancelled_is_asked(jobs: Jobs, submit: Submit) -> None:
    job = submit()
    lease = jobs.leases.claim(job.id)
    assert lease is not None
    assert not jobs.leases.is_cancelling(lease)
    asked = jobs.cancel("acme", job.id)
    assert (asked.status, asked.cancelling) == ("running", True)
    assert jobs.leases.is_cancelling(lease)
    jobs.leases.finish(lease, "cancelled")
    assert jobs.get("acme", job.id).status == "cancelled"
    assert len(jobs.events("acme", job.id)) == 1


def test_what_is_too_large_is_refused(jobs: Jobs, submit: Submit) -> None:
    with pytest.raises(TooLarge):
        submit(text="x" * rows.MAX_JSON)
    assert jobs.list("acme").jobs == ()


def test_a_log_keeps_its_newest_lines_in_order(jobs: Jobs, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "KEPT_EVENTS", 3)
    job = submit()
    lease = jobs.leases.claim(job.id)
    assert lease is not None
    for number in range(5):
        jobs.leases.log(lease, f"line {number}\0 \ud800", "warning")
    events = jobs.events("acme", job.id)
    assert [(event.number, event.message) for event in events] == [(n + 1, f"line {n} ?") for n in (2, 3, 4)]
    assert [event.number for event in jobs.events("acme", job.id, after=4)] == [5]


def test_a_sweep_forgets_what_finished_long_ago(jobs: Jobs, submit: Submit, clock: Clock) -> None:
    old, waiting = submit(), submit()
    jobs.cancel("acme", old.id)
    clock.now += 100
    recent = submit()
    jobs.cancel("acme", recent.id)
    assert jobs.sweep(clock.now - 50) == 1
    assert {job.id for job in jobs.list("acme").jobs} == {waiting.id, recent.id}
    assert jobs.events("acme", recent.id) != ()


def test_listeners_hear_of_submits_and_cancels(jobs: Jobs, submit: Submit) -> None:
    heard = list[int]()
    jobs.notify(lambda: heard.append(1))
    jobs.cancel("acme", submit().id)
    assert len(heard) == 2
