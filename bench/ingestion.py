"""Ingestion from files to an index that answers, against LlamaIndex and Haystack as their documentation begins.

    python -m bench ingestion [--documents 300] [--rounds 3] [--data FOLDER] [--whole]

The documents are SciFact's, as text files. Craton: a running server, a new knowledge base over the folder, the time
from asking for the ingestion until it is complete, so the start of the job's process and of its model are in it. The
rivals (bench/rivals) get the same files and the same embedding model, in a process of their own each time; their time
is given both without and with imports and the loading of the model. All take turns, in changing order, on one machine.
Memory is proportional (PSS), of all processes of a side together: for Craton the job's, and the server's beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.knowing import DATA, STARTERS, documents, ingest, jobs, knowing_server, new_base, new_tenant
from bench.rivals import environment
from bench.watching import watching
from tests.proof.processes import MIB, load_average
from tests.servers import RunningServer

RIVALS = ("llama_index", "haystack")


class Round(Struct, frozen=True):
    """work: seconds without imports and without loading the model, where those are not in it anyway. whole: seconds
    with them. cpu: seconds of processor time. peak: bytes. `server_*`: of the server beside Craton's job."""

    work: float
    whole: float
    cpu: float
    peak: int
    server_cpu: float = 0.0
    server_peak: int = 0
    chunks: int = 0


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench ingestion", description=__doc__)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA, help="holds scifact/")
    parser.add_argument("--whole", action="store_true", help="at the end, all of SciFact through Craton")
    parser.add_argument("--alone", action="store_true", help="without the rivals")
    arguments = parser.parse_args(given)
    if not (arguments.data / "scifact").is_dir():
        print("SciFact is not here; --data says where it is.")
        return
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as name:
        folder = Path(name)
        count = documents(arguments.data, folder / "sources" / "some", arguments.documents)
        with knowing_server(folder / "home", folder / "sources") as server:
            _compare(server, folder / "sources" / "some", count, arguments.rounds, alone=arguments.alone)
            if arguments.whole:
                count = documents(arguments.data, folder / "sources" / "all")
                _print("craton, all", count, [_craton(server, folder / "sources" / "all")])


def _compare(server: RunningServer, folder: Path, count: int, rounds: int, *, alone: bool) -> None:
    sides: dict[str, Callable[[], Round]] = {"craton": lambda: _craton(server, folder)}
    if not alone:
        python = environment.python()
        sides |= {name: _rival(python, name, folder) for name in RIVALS}
    taken: dict[str, list[Round]] = {side: [] for side in sides}
    for turn in range(rounds):
        for side in list(sides)[:: 1 if turn % 2 else -1]:
            taken[side].append(sides[side]())
            print(f"  {side}: {taken[side][-1].whole:.1f} s, load {load_average():.1f}", flush=True)
    for side, found in taken.items():
        _print(side, count, found)
    for rival in list(sides)[1:]:
        pairs = list(zip(taken["craton"], taken[rival], strict=True))
        work = [theirs.work / ours.work for ours, theirs in pairs]
        whole = [theirs.whole / ours.whole for ours, theirs in pairs]
        print(
            f"craton is {median(work):.2f} times as fast as {rival} (goal: 3; rounds {min(work):.2f} to "
            f"{max(work):.2f}), {median(whole):.2f} times with the rival's start"
        )


def _print(side: str, count: int, rounds: list[Round]) -> None:
    work, whole = median(one.work for one in rounds), median(one.whole for one in rounds)
    cpu, server_cpu = median(one.cpu for one in rounds), median(one.server_cpu for one in rounds)
    server_peak = max(one.server_peak for one in rounds)
    print(
        f"{side:12} {count / work:7.1f} documents/s   {work:6.1f} s, {whole:.1f} s with its start, "
        f"{cpu:.1f} s of processor   most memory {max(one.peak for one in rounds) / MIB:,.0f} MiB"
        + (f"   server beside it {server_cpu:.1f} s, {server_peak / MIB:,.0f} MiB" if server_peak else "")
        + (f"   {rounds[0].chunks} chunks" if rounds[0].chunks else ""),
        flush=True,
    )


def _craton(server: RunningServer, folder: Path) -> Round:
    with new_tenant(server) as client:
        base, source = new_base(client, folder)
        with (
            watching(lambda: jobs(server)) as job,
            watching(lambda: [server.pid]) as everything,
        ):
            seconds, said = ingest(client, base, source)
        here = len(list(folder.iterdir()))
        if said["statistics"].get("new") != here:
            raise RuntimeError(f"not all of {here} documents are there: {said}")
    return Round(seconds, seconds, job.cpu, job.bytes, everything.cpu - job.cpu, max(0, everything.bytes - job.bytes))


def _rival(python: Path, name: str, folder: Path) -> Callable[[], Round]:
    """The environment's own: no setting of this process reaches it but the path and a home for its caches."""

    def run() -> Round:
        script = Path(__file__).with_name("rivals") / "rival.py"
        model = (STARTERS / "all-MiniLM-L6-v2").resolve()
        started = time.perf_counter()
        with (
            tempfile.TemporaryDirectory() as home,
            subprocess.Popen(
                [python.absolute(), "-P", script, name, str(model), str(folder)],
                env={"PATH": os.environ["PATH"], "HOME": home, **environment.OFFLINE},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
            watching(lambda: [process.pid]) as watched,
        ):
            told, errors = process.communicate()
        whole = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"{name} failed:\n{errors}")
        answer = json.loads(told.splitlines()[-1])
        return Round(answer["seconds"], whole, watched.cpu, watched.bytes, chunks=answer["chunks"])

    return run


if __name__ == "__main__":
    main()
