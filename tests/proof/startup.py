"""How soon a server answers, what it takes, and whether unloading gives memory back."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.proof.homes import CHAT, pull_starters
from tests.proof.processes import MIB, alive, cpu_seconds, descendants, look
from tests.proof.report import Proof
from tests.servers import RunningServer, serving

STARTS = 10
READY_SECONDS = 1.5
API_BYTES = 150 * MIB
RETURNED = 12 * MIB
"""What the API process may keep of a model that was loaded and unloaded: buffers, caches."""

ABOUT = (
    f"The median of {STARTS} starts of `craton serve` on a CRATON_HOME that holds the starter models, from the "
    "start of the process until it says its address. Memory is resident memory (RSS). The chat model is "
    "loaded by a first answer and unloaded through the API; the child process that stays is the one that "
    "checks requests' schemas."
)


def prove(folder: Path) -> Proof:
    proof = Proof("startup", "Start, memory, unloading", ABOUT)
    home = folder / "home"
    started = time.monotonic()
    with serving(home):
        proof.note("first start of all, which makes the database and the root key", _s(time.monotonic() - started))
    pull_starters(home)
    walls, processors, sizes = [], [], []
    for _ in range(STARTS):
        started = time.monotonic()
        with serving(home) as server:
            walls.append(time.monotonic() - started)
            processors.append(cpu_seconds(server.pid))
            sizes.append(look(server.pid).rss)
    median = statistics.median(walls)
    proof.bound(f"time to ready, median of {STARTS}", _s(median), f"at most {READY_SECONDS} s", median <= READY_SECONDS)
    proof.note("time to ready, fastest and slowest", f"{_s(min(walls))}, {_s(max(walls))}")
    proof.note("processor time until ready, median", _s(statistics.median(processors)))
    size = round(statistics.median(sizes))
    proof.bound("API process when ready", _mib(size), f"at most {_mib(API_BYTES)}", size <= API_BYTES)
    with serving(home) as server:
        _load_and_unload(server, proof)
    return proof


def _load_and_unload(server: RunningServer, proof: Proof) -> None:
    with server.client() as client:
        client.get("/api/craton/v1/status").raise_for_status()
        before = look(server.pid).rss
        started = time.monotonic()
        body = {"model": CHAT, "max_tokens": 8, "messages": [{"role": "user", "content": "What is a model?"}]}
        client.post("/v1/chat/completions", json=body).raise_for_status()
        proof.note("first answer of the chat model (8 tokens), loading it", _s(time.monotonic() - started))
        (loaded,) = client.get("/api/craton/v1/status").json()["loaded"]
        worker, below = loaded["pid"], descendants(server.pid)
        proof.note("API process with the chat model loaded", _mib(look(server.pid).rss))
        found = look(worker)
        proof.note(
            "the model's worker",
            f"{_mib(found.rss)}, {_mib(found.private)} of it its alone; admitted for {_mib(loaded['bytes_needed'])}",
        )
        started = time.monotonic()
        client.delete(f"/api/craton/v1/loaded/{CHAT}").raise_for_status()
        while alive(worker) and time.monotonic() < started + 30:
            time.sleep(0.01)
        proof.bound("the worker is gone after", _s(time.monotonic() - started), "it ends", not alive(worker))
        left = sum(look(pid).rss for pid in descendants(server.pid))
        proof.note("child processes before and after", f"{len(below)}, {len(descendants(server.pid))} ({_mib(left)})")
        after = look(server.pid).rss
        kept = after - before
        proof.bound(
            "API process after unloading, beside what it was before loading",
            f"{_mib(after)}, {kept / MIB:+.1f} MiB",
            f"at most {_mib(RETURNED)} more",
            kept <= RETURNED,
        )


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"
