"""The soak: minutes of mixed traffic; memory, descriptors and threads must not grow, and no worker may die."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.proof.homes import CHAT, EMBEDDER, pull_starters
from tests.proof.processes import MIB, Look, look
from tests.proof.report import Proof
from tests.proof.traffic import Visitor
from tests.servers import RunningServer, serving

VISITORS = 4
EVERY = 2.0  # seconds between two looks
SERVER_GROWTH = 10 * MIB
WORKER_GROWTH = 16 * MIB
COUNT_GROWTH = 6  # descriptors, threads: connections that happen to be open

ABOUT = (
    f"{VISITORS} clients do what clients do (tests/proof/traffic.py): whole answers and streams through three "
    "dialects, embeddings, the starter model; they leave in mid-stream, hang up in mid-request, send "
    "nonsense. Start, middle and end are medians over a tenth of the run: after its first third (caches and "
    "thread pools are full by then), around its two thirds, at its end."
)


@dataclass(frozen=True)
class Sample:
    at: float
    server: Look
    workers: dict[str, tuple[int, Look]]  # model -> process id


def prove(folder: Path, minutes: float) -> Proof:
    proof = Proof("soak", "Soak", ABOUT)
    home = folder / "home"
    pull_starters(home)
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with serving(home) as server:
        warm_up(server)
        samples = _soak(server, minutes * 60, counts, failures)
        unfinished = _unfinished(server)
        log = server.log.read_text(errors="replace")
    proof.note("minutes, requests", f"{minutes:g}, {sum(counts.values()):,}")
    for name, count in sorted(counts.items()):
        proof.note(f"... {name}", f"{count:,}")
    proof.bound("answers other than expected", str(len(failures)), "0", not failures)
    for failure, times in Counter(failures).most_common(5):
        proof.note(f"... {failure}".replace("|", "/"), str(times))
    _grow(proof, "API process, MiB", samples, lambda s: s.server.rss / MIB, SERVER_GROWTH / MIB)
    for model in samples[0].workers:
        _grow(proof, f"worker of {model}, MiB", samples, _worker_size(model), WORKER_GROWTH / MIB)
    _grow(proof, "descriptors of the API process", samples, lambda s: s.server.descriptors, COUNT_GROWTH)
    _grow(proof, "threads of the API process", samples, lambda s: s.server.threads, COUNT_GROWTH)
    pids = {(model, pid) for sample in samples for model, (pid, _) in sample.workers.items()}
    died = len(pids) - len(samples[0].workers)
    proof.bound("workers that died or were restarted", str(died), "0", died == 0)
    proof.bound("requests that went on after their clients had left", str(unfinished), "0", unfinished == 0)
    tracebacks = log.count("Traceback")
    proof.bound("tracebacks in the server's log", str(tracebacks), "0", tracebacks == 0)
    return proof


def warm_up(server: RunningServer) -> None:
    """Loads every model."""
    with server.client() as client:
        message = {"role": "user", "content": "hello"}
        for model in ("echo", CHAT):
            body = {"model": model, "max_tokens": 4, "messages": [message]}
            client.post("/v1/chat/completions", json=body).raise_for_status()
        client.post("/v1/embeddings", json={"model": EMBEDDER, "input": "hello"}).raise_for_status()


def _soak(server: RunningServer, seconds: float, counts: Counter[str], failures: list[str]) -> list[Sample]:
    stop = threading.Event()
    visitors = [Visitor(server, seed, counts, failures) for seed in range(VISITORS)]
    threads = [threading.Thread(target=visitor.work, args=(stop,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    samples = []
    try:
        with server.client() as client:
            while (now := time.monotonic() - started) < seconds:
                loaded = client.get("/api/craton/v1/status").raise_for_status().json()["loaded"]
                workers = {one["model"]: (one["pid"], look(one["pid"])) for one in loaded if one["pid"]}
                samples.append(Sample(now, look(server.pid), workers))
                time.sleep(EVERY)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return samples


def _unfinished(server: RunningServer) -> int:
    """Requests that a model still works on, ten seconds after everybody left (or none, sooner)."""
    give_up = time.monotonic() + 10
    with server.client() as client:
        while True:
            loaded = client.get("/api/craton/v1/status").raise_for_status().json()["loaded"]
            busy = sum(int(one["running"]) + int(one["waiting"]) for one in loaded)
            if not busy or time.monotonic() > give_up:
                return busy
            time.sleep(0.1)


def _worker_size(model: str) -> Callable[[Sample], float]:
    return lambda sample: sample.workers[model][1].rss / MIB if model in sample.workers else 0.0


def _grow(proof: Proof, what: str, samples: list[Sample], value: Callable[[Sample], float], most: float) -> None:
    end = samples[-1].at
    parts = [(1 / 3, 1 / 3 + 0.1), (2 / 3 - 0.05, 2 / 3 + 0.05), (0.9, 1.0)]
    start, middle, last = (
        statistics.median([value(sample) for sample in samples if low * end <= sample.at <= high * end])
        for low, high in parts
    )
    figures = f"{start:.0f}, {middle:.0f}, {last:.0f}"
    proof.bound(f"{what}: start, middle, end", figures, f"at most {most:.0f} more", last - start <= most)
