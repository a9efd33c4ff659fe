"""`craton jobs`, against a real server. Jobs are put into its database as the code that asks for them does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import update

from craton.core.job import Job, JobSpec, Progress
from craton.jobs.queue import Jobs
from craton.jobs.rows import is_job, table
from craton.store.database import Database
from tests.servers import RunningServer, craton, serving


@pytest.fixture(scope="module")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("jobs") / "home") as running:
        yield running


@pytest.fixture
def jobs(quiet_server: RunningServer) -> Iterator[Jobs]:
    database = Database.at(quiet_server.home / "craton.db")
    yield Jobs(database, time.time, lambda: token_hex(16))
    database.close()


@pytest.fixture
def submit(quiet_server: RunningServer, jobs: Jobs) -> Iterator[Callable[..., Job]]:
    database = Database.at(quiet_server.home / "craton.db")

    def submit(held: bool = False, tenant: str = "default") -> Job:
        """held: this test's process works on it, not the server's."""
        with database.write() as connection:
            job = jobs.submit(connection, JobSpec(tenant, "strange", {"secret": 1}, "something strange"))
            if held:
                taken = {"status": "running", "fence": 1, "attempt": 1, "lease_until": time.time() + 600}
                connection.execute(update(table).where(is_job(tenant, job.id)).values(started=time.time(), **taken))
        return job

    yield submit
    database.close()


def test_the_server_runs_a_submitted_job_and_its_end_is_shown(
    quiet_server: RunningServer, submit: Callable[..., Job]
) -> None:
    job = submit()
    followed = quiet_server.craton("jobs", "logs", job.id, "--follow", check=False)
    assert followed.returncode == 1
    assert "error: This Craton knows no jobs of the kind 'strange'." in followed.stdout
    shown = quiet_server.craton("jobs", "show", job.id).stdout
    assert "something strange" in shown
    assert "failed" in shown
    assert "secret" not in shown + quiet_server.craton("jobs", "show", job.id, "--json").stdout
    assert job.id in quiet_server.craton("jobs", "list", "--status", "failed").stdout


def test_progress_and_the_time_left_are_shown(
    quiet_server: RunningServer, jobs: Jobs, submit: Callable[..., Job]
) -> None:
    job = submit(held=True)
    lease = jobs.leases.adopt(job.id, 1)
    jobs.leases.report(lease, Progress(120, 5183, "documents", "handbook.pdf", 75.0))
    jobs.leases.log(lease, "a line with \x1b[31mcolour")
    for shown in (quiet_server.craton("jobs", "list"), quiet_server.craton("jobs", "show", job.id)):
        assert "120 of 5,183 documents" in shown.stdout
        assert "1 min 15 s" in shown.stdout
    assert "a line with [31mcolour" in quiet_server.craton("jobs", "logs", job.id).stdout
    listed = json.loads(quiet_server.craton("jobs", "list", "--json", "--limit", "1").stdout)
    assert listed["jobs"][0]["progress"] == {
        "done": 120,
        "total": 5183,
        "unit": "documents",
        "message": "handbook.pdf",
        "eta": 75.0,
    }
    jobs.leases.finish(lease, "succeeded", {"documents": 5183})
    assert "documents: 5183" in quiet_server.craton("jobs", "show", job.id).stdout


def test_a_running_job_is_asked_to_stop(quiet_server: RunningServer, jobs: Jobs, submit: Callable[..., Job]) -> None:
    job = submit(held=True)
    assert "is asked to stop" in quiet_server.craton("jobs", "cancel", job.id).stderr
    assert "stopping" in quiet_server.craton("jobs", "list").stdout
    jobs.leases.finish(jobs.leases.adopt(job.id, 1), "cancelled")
    assert "is cancelled" in quiet_server.craton("jobs", "cancel", job.id).stderr


def test_what_is_not_there_and_what_is_another_tenants_look_the_same(
    quiet_server: RunningServer, submit: Callable[..., Job]
) -> None:
    job = submit(tenant="another")
    for verb in ("show", "logs", "cancel"):
        told = [quiet_server.craton("jobs", verb, name, check=False) for name in (job.id, "0" * 32)]
        assert {done.returncode for done in told} == {1}
        assert told[0].stderr.replace(job.id, "0" * 32) == told[1].stderr
    assert job.id not in quiet_server.craton("jobs", "list").stdout


def test_bad_questions_are_refused(quiet_server: RunningServer) -> None:
    with quiet_server.client() as client:
        for query in ("status=strange", "limit=0", "limit=-1", "limit=1001", "limit=x", "cursor=x"):
            assert client.get(f"/api/craton/v1/jobs?{query}").status_code == 400, query
        assert client.get("/api/craton/v1/jobs/x/events?after=-1").status_code == 400


def test_a_job_can_be_run_by_hand(tmp_path: Path, quiet_server: RunningServer, submit: Callable[..., Job]) -> None:
    environment = {**quiet_server.environment, "CRATON_HOME": str(tmp_path / "home")}
    craton("keys", "list", environment=environment)  # makes the home; no server runs there
    database = Database.at(tmp_path / "home" / "craton.db")
    jobs = Jobs(database, time.time, lambda: "abc")
    with database.write() as connection:
        job = jobs.submit(connection, JobSpec("default", "strange", {}))
    craton("job", "run", job.id, environment=environment)
    assert jobs.get("default", job.id).status == "failed"
    again = craton("job", "run", job.id, environment=environment, check=False)
    assert (again.returncode, "not to be had" in again.stderr) == (1, True)
    database.close()
