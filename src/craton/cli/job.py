"""`craton job run ID`: the process of one job. The server starts it; so may anything else on the same CRATON_HOME."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import NoReturn

import click

from craton.cli.output import say

NICENESS = 10  # answers come before jobs


@click.group(hidden=True)
def job() -> None:
    """The process of one job."""


@job.command()
@click.argument("job_id", metavar="ID")
@click.option("--fence", type=int, help="Of the lease that was taken for this process.")
@click.option("--parent", type=int, help="End when this process does.")
@click.option("--leader", help="HOST:PORT of the process that works on it already, and is to be helped.")
@click.option("--tenant", default="", help="Whose the job is; with --leader.")
def run(job_id: str, fence: int | None, parent: int | None, leader: str | None, tenant: str) -> None:
    """Work on the job ID until it ends.

    Without --fence it is taken from the queue first. With --leader it is nobody's but the leader's."""
    if parent is not None:
        from craton.children.limits import die_with

        die_with(parent)
    os.nice(max(0, NICENESS - os.nice(0)))  # a child is nice already
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    from craton.children.importing import uncollected

    with uncollected():
        from craton.app.config import Home
        from craton.app.jobs import help_with, run_job
        from craton.app.platform import open_platform

    platform = open_platform(Home.from_environment())
    if leader is not None:
        help_with(platform, tenant, job_id, leader)
        os._exit(0)  # a thread may be deep in a library, and nothing is left to be written
    try:
        had = run_job(platform, job_id, fence)
    finally:
        platform.close()
    if not had and fence is None:
        say(f"The job {job_id} is not to be had: it runs elsewhere, has finished, or there is none.")
        raise SystemExit(1)
    _leave()


def _leave() -> NoReturn:
    """Without taking libraries apart in memory, for which the next job would wait as long as for a second's work."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
