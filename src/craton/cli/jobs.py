"""`craton jobs`: what runs, how far it is, what it says; through the server's own routes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from craton.cli.connection import Connection, connect, connection_options
from craton.cli.jobs_compare import compare, show_figures
from craton.cli.jobs_export import export
from craton.cli.jobs_screen import following
from craton.cli.output import (
    human_span,
    human_time,
    json_option,
    print_fields,
    print_json,
    print_table,
    printable,
    say,
)

ROUTE = "/api/craton/v1/jobs"
STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")
COLUMNS = ("JOB", "KIND", "ABOUT", "STATUS", "DONE", "LEFT", "CREATED")
FOLLOW_EVERY = 0.5  # seconds
RUNS = frozenset({"train", "script"})  # kinds that tell figures and curves


@click.group()
def jobs() -> None:
    """List, watch and cancel jobs: work that outlives its request, such as ingestion."""


@jobs.command("list")
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only these; may be repeated.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="The newest so many.")
@connection_options
@json_option
def list_jobs(status: tuple[str, ...], limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List jobs, the newest first."""
    found = connect(url, key).get(ROUTE, status=",".join(status), limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            job["id"],
            job["kind"],
            job["subject"],
            state(job),
            done(job["progress"]),
            left(job),
            human_time(job["created"]),
        )
        for job in found["jobs"]
    ]
    print_table(COLUMNS, rows, "No jobs.", whole=("JOB",))


@jobs.command()
@click.argument("job_id", metavar="ID")
@connection_options
@json_option
def show(job_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the job ID: how far it is, and what came of it."""
    connection = connect(url, key)
    job = connection.get(f"{ROUTE}/{job_id}")
    if as_json:
        print_json(job)
        return
    told = {"metrics"} if job["kind"] in RUNS else set()  # what is shown among the figures
    result = {name: value for name, value in (job["result"] or {}).items() if name not in told}
    ran = (job["ended"] or time.time()) - job["started"] if job["started"] else None
    print_fields(
        {
            "Job": job["id"],
            "Kind": job["kind"],
            "About": job["subject"],
            "Status": state(job),
            "Done": done(job["progress"]),
            "Left": left(job),
            "Now": job["progress"]["message"] if job["status"] == "running" else "",
            "Created": human_time(job["created"]),
            "Ran": human_span(ran) if ran is not None else "",
            "Attempts": job["attempt"] if job["attempt"] > 1 else "",
            "Error": job["error"],
            "Result": "\n".join(f"{name}: {value}" for name, value in result.items()),
        }
    )
    if job["kind"] in RUNS:
        show_figures(connection, job_id)


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Wait for more until the job ends; show how far it is.")
@connection_options
@json_option
def logs(job_id: str, follow: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Print what the job ID said.

    With --follow the exit code is 0 only if the job succeeds."""
    connection = connect(url, key)
    write: Callable[[dict[str, Any]], None] = print_json if as_json else _print_event
    if not follow:
        _print_new(connection, job_id, 0, write)
        return
    job = follow_job(connection, job_id, write)
    if job["status"] != "succeeded":
        raise SystemExit(1)


@jobs.command()
@click.argument("job_id", metavar="ID")
@connection_options
@json_option
def cancel(job_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Cancel the job ID.

    One that waits ends at once; one that runs is asked to."""
    job = connect(url, key).post(f"{ROUTE}/{job_id}/cancel", {})
    if as_json:
        print_json(job)
        return
    say(f"{job['id']} {'is asked to stop' if job['status'] == 'running' else 'is ' + job['status']}.")


jobs.add_command(compare)
jobs.add_command(export)


def follow_job(connection: Connection, job_id: str, write: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Writes each line of its log and shows how far it is (stderr) until it ends; the job then."""
    number = 0
    with following() as show:
        while True:
            job: dict[str, Any] = connection.get(f"{ROUTE}/{job_id}")
            number = _print_new(connection, job_id, number, write)  # after the job: its last lines are there then
            if job["status"] not in {"queued", "running"}:
                return job
            show(job["subject"] or job["kind"], state(job), job["progress"])
            time.sleep(FOLLOW_EVERY)


def _print_new(connection: Connection, job_id: str, after: int, write: Callable[[dict[str, Any]], None]) -> int:
    """The number of the last line."""
    while events := connection.get(f"{ROUTE}/{job_id}/events", after=after)["events"]:
        for event in events:
            write(event)
        after = events[-1]["number"]
    return after


def _print_event(event: dict[str, Any]) -> None:
    level = "" if event["level"] == "info" else f"{event['level']}: "
    click.echo(f"{human_time(event['time'])}  {level}{printable(event['message'])}")


def state(job: dict[str, Any]) -> str:
    return "stopping" if job["status"] == "running" and job["cancelling"] else str(job["status"])


def done(progress: dict[str, Any]) -> str:
    """ "120 of 5,183 documents"."""
    if not progress["done"] and progress["total"] is None:
        return ""
    total = "" if progress["total"] is None else f" of {progress['total']:,}"
    return f"{progress['done']:,}{total} {progress['unit']}".rstrip()


def left(job: dict[str, Any]) -> str:
    eta = job["progress"]["eta"]
    return human_span(eta) if job["status"] == "running" and eta is not None else ""
