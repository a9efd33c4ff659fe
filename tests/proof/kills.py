"""The kill storm: servers and writers die by kill -9 under load, again and again, on one CRATON_HOME."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import select, text

from craton.core.repo import RepoId
from craton.serve.tables import requests
from tests.proof.acknowledging_writer import TENANT
from tests.proof.homes import opened
from tests.proof.processes import alive, descendants
from tests.proof.report import Proof
from tests.servers import RunningServer, serving

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 4
WINDOW = 1.0
"""Seconds. Usage rows are committed in groups (serve/metering.py): those of the last moment may be lost."""
CONFIG = "[engines.echo]\nworker = true\n"  # the echo model in a worker process: it must not outlive its server

ABOUT = (
    "Each round starts a server (its echo model in a worker process) and a second process that makes keys and "
    f"repository commits in the same CRATON_HOME, loads the server from {CLIENTS} clients, and kills both with "
    "kill -9 at random moments. Afterwards every key, every commit with its file's bytes, and every usage row "
    f"whose answer had reached its client more than {WINDOW:.0f} s before the kill must be there. (kill -9 "
    "keeps the page cache: what a power cut takes is the business of tests/store.)"
)


@dataclass
class Acknowledged:
    """What the outside was told. answers: request id -> when the answer had come in (monotonic seconds)."""

    keys: list[str] = field(default_factory=list)
    commits: list[tuple[str, str, str]] = field(default_factory=list)  # repository, revision, digest
    answers: dict[str, float] = field(default_factory=dict)


@dataclass
class Tally:
    keys: int = 0
    commits: int = 0
    answers: int = 0
    keys_lost: int = 0
    commits_lost: int = 0
    answers_lost: int = 0
    answers_lost_in_window: int = 0
    oldest_lost: float = 0.0
    workers: int = 0
    orphans: int = 0
    starts: list[float] = field(default_factory=list)


def prove(folder: Path, kills: int) -> Proof:
    """kills: half of them servers, half of them writers."""
    proof = Proof("kills", "Kill storm", ABOUT)
    home, tally, chance = folder / "home", Tally(), random.Random(20)
    for number in range(kills // 2):
        told = Acknowledged()
        killed_at = _round(home, f"round-{number}", chance, told, tally)
        _check(home, told, killed_at, tally)
        if (number + 1) % 10 == 0:
            print(f"  {2 * (number + 1)} kills ...", flush=True)
    with opened(home) as platform, platform.database.read() as connection:
        sound = connection.execute(text("PRAGMA integrity_check")).scalar_one()
    proof.note("kill -9", f"{kills // 2} servers, {kills // 2} writers")
    proof.bound("keys acknowledged, lost", f"{tally.keys:,}, {tally.keys_lost}", "0 lost", tally.keys_lost == 0)
    proof.bound(
        "commits acknowledged, lost", f"{tally.commits:,}, {tally.commits_lost}", "0 lost", tally.commits_lost == 0
    )
    proof.bound(
        f"answers older than {WINDOW:.0f} s, usage rows lost",
        f"{tally.answers - tally.answers_lost_in_window:,}, {tally.answers_lost}",
        "0 lost",
        tally.answers_lost == 0,
    )
    proof.note(
        f"usage rows lost inside the last {WINDOW:.0f} s",
        f"{tally.answers_lost_in_window}; the oldest was {tally.oldest_lost * 1000:.0f} ms old",
    )
    proof.bound(
        "worker processes at the kills, left behind", f"{tally.workers}, {tally.orphans}", "0 left", tally.orphans == 0
    )
    proof.bound("database at the end", str(sound), "ok", sound == "ok")
    proof.note("slowest start on what a kill left", f"{max(tally.starts):.2f} s")
    return proof


def _round(home: Path, name: str, chance: random.Random, told: Acknowledged, tally: Tally) -> float:
    """Returns when the server was killed (monotonic seconds)."""
    started = time.monotonic()
    with serving(home, config=CONFIG) as server, _writing(home, name) as writer:
        tally.starts.append(time.monotonic() - started)
        stop = threading.Event()
        threads = [threading.Thread(target=_load, args=(server, stop, told.answers)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            assert writer.stdout is not None
            lines = writer.stdout.readline()  # it works by now
            assert lines, "the writer ended by itself"
            time.sleep(chance.uniform(0.1, 2.0))
            below = descendants(server.pid)
            moments = {}
            for pid in chance.sample([server.pid, writer.pid], k=2):
                os.kill(pid, signal.SIGKILL)
                moments[pid] = time.monotonic()
                time.sleep(chance.uniform(0.0, 0.2))
            _note(name, lines + writer.stdout.read(), told)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    tally.workers += len(below)
    tally.orphans += _left_behind(below)
    return moments[server.pid]


@contextmanager
def _writing(home: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """The acknowledging writer, killed at the end if it still lives."""
    command = [sys.executable, "-m", "tests.proof.acknowledging_writer", str(home), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        try:
            yield writer
        finally:
            writer.kill()


def _load(server: RunningServer, stop: threading.Event, answers: dict[str, float]) -> None:
    """Asks until the server is gone; notes the ids of the answers that came in whole."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "what was acknowledged is there"}]}
    with server.client() as client:
        while not stop.is_set():
            try:
                reply = client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError:
                return
            if reply.status_code == 200:
                answers[reply.headers["x-request-id"]] = time.monotonic()
            time.sleep(0.01)


def _note(name: str, lines: str, told: Acknowledged) -> None:
    for line in lines.splitlines(keepends=True):
        if not line.endswith("\n"):
            continue  # it was killed in the middle of saying so
        what, *values = line.split()
        if what == "key":
            told.keys.append(values[0])
        else:
            told.commits.append((name, values[0], values[1]))


def _left_behind(pids: list[int]) -> int:
    """How many of these processes still live when they had time to end."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up and any(map(alive, pids)):
        time.sleep(0.02)
    return sum(map(alive, pids))


def _check(home: Path, told: Acknowledged, killed_at: float, tally: Tally) -> None:
    with opened(home) as platform:
        keys = {key.key_id for key in platform.keys.list(TENANT)}
        tally.keys_lost += sum(key not in keys for key in told.keys)
        for name in {name for name, _, _ in told.commits}:
            repo = RepoId("dataset", "storm", name)
            known = {revision.id for revision in platform.hub.history(TENANT, repo, "main", limit=100_000)}
            files = {entry.digest for entry in platform.hub.tree(TENANT, repo, "main")}
            for _, revision, digest in told.commits:
                whole = revision in known and digest in files and sum(map(len, platform.blobs.read(digest))) > 0
                tally.commits_lost += not whole
        with platform.database.read() as connection:
            rows = set(connection.execute(select(requests.c.id)).scalars())
    for request, answered in told.answers.items():
        if request not in rows:
            age = killed_at - answered
            tally.oldest_lost = max(tally.oldest_lost, age)
            if age > WINDOW:
                tally.answers_lost += 1
            else:
                tally.answers_lost_in_window += 1
    tally.keys += len(told.keys)
    tally.commits += len(told.commits)
    tally.answers += len(told.answers)
