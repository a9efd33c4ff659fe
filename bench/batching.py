"""Batch inference against the raw engine called in process, same file, settings and prompts, as many at once; and what
a chat feels beside a running batch.

Tokens a second (goal: at least 0.95 of raw) are counted from when the first record is asked until the last is answered:
a batch is for hours, so that loading the model, which both sides do once, is left out. Both are niced as jobs are (what
else the machine does would count against the one that is) and measured in turn, round by round. A chat's milliseconds
to the first token are measured on the server while no batch runs, and while one does.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles

from bench.serving import CONTEXT, QUESTIONS, body, first_token, in_process, over_http
from craton.cli.job import NICENESS
from tests.batch.workshop import ENDED, Bench, Json, chat
from tests.fetch_starters import main as fetch_starters
from tests.servers import RunningServer, serving

MODEL = "smollm2-135m-instruct"
POLL = 2.0  # seconds: asking how a batch is, as a client of hours does, must not take the machine from it
LONG = 100  # times the records of a round: a batch that does not end while chats are measured


def question(number: int) -> str:
    """None is another's beginning: no cache helps either side."""
    return f"{number}. {QUESTIONS[number % len(QUESTIONS)]}"


def length(number: int, tokens: int) -> int:
    """Of an answer: from half of `tokens` to half more. Were all of a length, the raw side's would begin and end
    together, wave by wave, and its last ones would leave no slot idle."""
    return tokens // 2 + number * 7 % (tokens + 1)


def records(numbers: range, tokens: int) -> list[Json]:
    return [{"recordId": f"r{number}", "modelInput": _asked(number, tokens)} for number in numbers]


def _asked(number: int, tokens: int) -> Json:
    return chat(question(number), inferenceConfig={"maxTokens": length(number, tokens), "temperature": 0})


def batch_rate(bench: Bench, server: RunningServer, numbers: range, tokens: int) -> float:
    """Tokens a second of one batch."""
    job = bench.start(bench.put(f"{numbers.start}.jsonl", records(numbers, tokens)), model=MODEL)
    while (ended := bench.get(job))["status"] not in ENDED:
        time.sleep(POLL)
    if ended["successRecordCount"] != len(numbers):
        raise RuntimeError(str(ended))
    with closing(sqlite3.connect(server.home / "craton.db")) as database:
        first, last, written = database.execute(
            "SELECT min(started), max(started + seconds), sum(output_tokens) FROM requests WHERE id LIKE ?",
            (f"{job}.%",),
        ).fetchone()
    return float(written / (last - first))


@contextmanager
def raw_engine(gguf: Path, given: argparse.Namespace) -> Iterator[Callable[[range], float]]:
    """The raw library in a process of its own: tokens a second over these questions."""
    command = [sys.executable, "-m", "bench.batching", "--raw", str(gguf)]
    command += ["--at-once", str(given.at_once), "--tokens", str(given.tokens)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    to_raw, from_raw = process.stdin, process.stdout
    if to_raw is None or from_raw is None:
        raise RuntimeError("pipes were asked for")

    def ask(numbers: range) -> float:
        to_raw.write(json.dumps([numbers.start, numbers.stop]) + "\n")
        to_raw.flush()
        return float(json.loads(from_raw.readline()))

    try:
        yield ask
    finally:
        to_raw.close()
        process.wait(30)


def serve_raw(given: argparse.Namespace) -> None:
    """The child of `raw_engine`."""
    os.nice(NICENESS)
    with in_process(given.raw, options(given)) as ask, ThreadPoolExecutor(given.at_once) as threads:
        for line in sys.stdin:
            bodies = [body(question(number), length(number, given.tokens)) for number in range(*json.loads(line))]
            began = time.perf_counter()
            tokens = sum(count for count, _ in threads.map(ask, bodies))
            print(json.dumps(tokens / (time.perf_counter() - began)), flush=True)


def options(given: argparse.Namespace) -> dict[str, int]:
    """The engine's, of both sides."""
    return {"parallel": given.at_once, "context": CONTEXT}


def first_tokens(server: RunningServer, count: int, start: int) -> list[float]:
    ask = over_http(server)
    return [first_token(ask, number) for number in range(start, start + count)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench batching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=96)
    parser.add_argument("--tokens", type=int, default=32, help="of an answer, on average")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--chats", type=int, default=15)
    parser.add_argument("--starters", type=Path, default=Path("build/starters"))
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.raw:
        serve_raw(given)
        return
    fetch_starters(given.starters)
    gguf = given.starters / "SmolLM2-135M-Instruct.Q4_1.gguf"
    config = "[engines.llama_cpp]\n" + "".join(f"{name} = {value}\n" for name, value in options(given).items())
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "home", config=config) as server:
        server.craton("models", "pull", MODEL, "--from", str(given.starters))
        bench = Bench(server)
        with raw_engine(gguf, given) as raw:
            raw(range(given.at_once))  # loads and warms it
            rates = []
            for place in range(given.rounds):
                numbers = range(1000 * (place + 1), 1000 * (place + 1) + given.records)
                rates.append((batch_rate(bench, server, numbers, given.tokens), raw(numbers)))
        first_tokens(server, 1, 100)  # loads the server's own model
        alone = first_tokens(server, given.chats, 200)
        many = range(10_000, 10_000 + LONG * given.records)
        job = bench.start(bench.put("long.jsonl", records(many, given.tokens)), model=MODEL)
        bench.further(job, given.at_once)
        beside = first_tokens(server, given.chats, 300)
        bench.bedrock.stop_model_invocation_job(jobIdentifier=job)
        bench.until(job)
    ratios = [ours / theirs for ours, theirs in rates]
    print(
        f"{given.at_once} at once: batch {median(our for our, _ in rates):.0f} tokens/s, "
        f"raw {median(their for _, their in rates):.0f} tokens/s"
    )
    print(f"ratio {median(ratios):.3f} (goal 0.95; rounds {min(ratios):.2f} to {max(ratios):.2f})")
    for name, times in (("no batch", alone), ("a batch", beside)):
        low, middle, high = quantiles(times, n=4)
        print(f"first token of a chat beside {name}: {middle:.0f} ms (quartiles {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
