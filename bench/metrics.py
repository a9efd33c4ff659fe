"""Points of a curve told by a running job, against MLflow in an environment of its own (made at the first time).

    python -m bench metrics [--points 20000] [--slow 500] [--rounds 3]

Craton: `Run.metric` as a trainer calls it, in a job that holds its lease, over SQLite with synchronous=FULL, timed
until the recorder is closed and every point is committed. MLflow: `mlflow.log_metric` over its SQLite and its file
store, also asynchronously, and 1,000 at once through its client; the slow ones with fewer points. All points are read
again and counted. In turn, round by round; medians. Goal: 10 times MLflow's rate by the same kind of call.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from bench.rivals.environment import FOLDER, OFFLINE, python
from craton.core.job import JobSpec
from craton.jobs.queue import Jobs
from craton.jobs.running import RunningJob
from craton.store.database import Database
from craton.store.migrations import upgrade
from craton.training.jobrun import JobRun
from craton.training.tracking.reading import Runs

RIVALS = Path(__file__).with_name("rivals")
SLOW = (("sqlite", "call"), ("file", "call"), ("sqlite", "async"))
QUICK = (("sqlite", "batch"),)


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench metrics", description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--slow", type=int, default=500, help="points of the rivals that write each by itself")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(given)
    rival = python(RIVALS / "predicting.txt", FOLDER.with_name("rivals-predicting"))
    kept: dict[str, list[float]] = {}
    told: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        found = {"craton": (_craton(arguments.points), arguments.points)}
        for store, how in SLOW + QUICK:
            points = arguments.slow if (store, how) in SLOW else arguments.points
            found[f"mlflow {store} {how}"] = (_mlflow(rival, store, how, points), points)
        for name, ((seconds, calls), points) in found.items():
            kept.setdefault(name, []).append(points / seconds)
            told.setdefault(name, []).append(calls / points * 1e6)
    ours = median(kept["craton"])
    for name, rates in kept.items():
        rate = median(rates)
        ratio = "" if name == "craton" else f", craton is {ours / rate:,.1f} times that"
        print(
            f"{name}: {rate:,.0f} points/s kept, {median(told[name]):,.1f} microseconds a point for the caller{ratio}"
        )


def _craton(points: int) -> tuple[float, float]:
    """Seconds until all is kept, and until the last call returned."""
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as folder:
        database = Database(f"sqlite:///{folder}/craton.db")
        upgrade(database)
        numbers = count()
        jobs = Jobs(database, time.time, lambda: f"{next(numbers):x}")
        with database.write() as connection:
            job = jobs.submit(connection, JobSpec("bench", "train", {}))
        lease = jobs.leases.claim(job.id)
        assert lease is not None
        nothing: Any = None  # of what a run may ask for beside: nobody asks here
        run = JobRun(RunningJob(jobs.leases, lease), Path(folder, "runs"), nothing, nothing, nothing)
        run.begin("", "")
        started = time.perf_counter()
        for step in range(1, points + 1):
            run.metric("loss", 1 / step, step)
        calls = time.perf_counter() - started
        run.close()
        seconds = time.perf_counter() - started
        kept = Runs(database, jobs).curve("bench", job.id, "loss")
        assert kept.total == points, kept.total
        database.close()
    return seconds, calls


def _mlflow(rival: Path, store: str, how: str, points: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as folder:
        command = [rival.absolute(), "-P", (RIVALS / "logging_metrics.py").absolute(), store, how, folder, str(points)]
        done = subprocess.run(
            command, env=os.environ | OFFLINE, cwd=folder, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found["seconds"], found["told"]
