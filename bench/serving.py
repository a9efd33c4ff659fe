"""Chat over HTTP against the raw engine called in process, same file, same settings, same prompts.

Two figures: tokens a second at N streams (goal: at least 0.95 of raw), and milliseconds to the first token of a lone
stream (goal: at most 2 more). Both sides stay loaded and are measured in turn, round by round; medians are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from tests.fetch_starters import main as fetch_starters
from tests.servers import RunningServer, serving

CONTEXT = 1024
MAX_TOKENS = 96
QUESTIONS = (
    "What is supervised learning?",
    "Explain how a bicycle stays upright.",
    "Write a short story about a lighthouse.",
    "Describe the water cycle.",
    "Why is the sky blue?",
    "How does a compiler work?",
    "List the planets and say one thing about each.",
    "What is a database index?",
)

Ask = Callable[[dict[str, Any]], tuple[int, float]]
"""Answers one chat body; how many tokens it wrote, and seconds to the first."""


def body(question: str, max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    return {
        "model": "smollm2-135m-instruct",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def measure(ask: Ask, streams: int) -> float:
    """Tokens a second over `streams` answers at once."""
    questions = [QUESTIONS[number % len(QUESTIONS)] for number in range(streams)]
    with ThreadPoolExecutor(streams) as threads:
        began = time.perf_counter()
        tokens = sum(count for count, _ in threads.map(lambda question: ask(body(question)), questions))
        return tokens / (time.perf_counter() - began)


def first_token(ask: Ask, number: int) -> float:
    """Milliseconds to the first token, for a prompt that no cache holds."""
    return ask(body(f"Question {number}: what is supervised learning?", max_tokens=1))[1] * 1000


def alternating(craton: Ask, raw: Callable[[str, int], float], number: int) -> tuple[float, float]:
    """Milliseconds of both sides, each going first in turn."""
    if number % 2:
        theirs = raw("first", number)
        return first_token(craton, number), theirs
    return first_token(craton, number), raw("first", number)


def over_http(server: RunningServer) -> Ask:
    """By the standard library's client: what is measured is the server, not a client's convenience."""
    headers = {"authorization": f"Bearer {server.token}", "content-type": "application/json"}
    address = urlsplit(server.url)

    def ask(asked: dict[str, Any]) -> tuple[int, float]:
        connection = HTTPConnection(address.hostname or "", address.port, timeout=300)
        connection.connect()
        began, first, tokens = time.perf_counter(), 0.0, 0
        connection.request("POST", "/v1/chat/completions", json.dumps(asked), headers)
        with closing(connection), connection.getresponse() as response:
            if response.status != 200:
                raise RuntimeError(response.read().decode())
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                if not first and chunk["choices"] and chunk["choices"][0]["delta"].get("content"):
                    first = time.perf_counter() - began
                if chunk.get("usage"):
                    tokens = chunk["usage"]["completion_tokens"]
        return tokens, first

    return ask


@contextmanager
def raw_engine(gguf: Path, given: argparse.Namespace) -> Any:
    """The raw library in a process of its own, asked to run whole rounds: ("streams", n) or ("first", number)."""
    command = [sys.executable, "-m", "bench.serving", "--raw", str(gguf), "--streams", str(given.streams)]
    command += ["--threads", str(given.threads)] if given.threads else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    to_raw, from_raw = process.stdin, process.stdout
    if to_raw is None or from_raw is None:
        raise RuntimeError("pipes were asked for")

    def ask(what: str, value: int) -> float:
        to_raw.write(json.dumps([what, value]) + "\n")
        to_raw.flush()
        return float(json.loads(from_raw.readline()))

    try:
        yield ask
    finally:
        to_raw.close()
        process.wait(30)


def options(given: argparse.Namespace) -> dict[str, int]:
    """The engine's, of both sides."""
    threads = {"threads": given.threads, "batch_threads": given.threads} if given.threads else {}
    return {"parallel": given.streams, "context": CONTEXT, **threads}


def serve_raw(gguf: Path, engine_options: dict[str, int]) -> None:
    """The child of `raw_engine`: rounds are asked for on stdin and answered on stdout."""
    with in_process(gguf, engine_options) as ask:
        for line in sys.stdin:
            what, value = json.loads(line)
            print(json.dumps(measure(ask, value) if what == "streams" else first_token(ask, value)), flush=True)


@contextmanager
def in_process(gguf: Path, engine_options: dict[str, int]) -> Iterator[Ask]:
    """The raw library, loaded as Craton would load it."""
    import xllamacpp

    from craton.core.model import ModelInfo
    from craton.engines.llama_cpp.options import settle
    from craton.engines.llama_cpp.server import parameters
    from craton.engines.protocol import EngineSpec

    info = ModelInfo(id="raw", verbs=("chat",), engine="llama_cpp", context_length=8192, parameters=134_515_008)
    spec = EngineSpec("llama_cpp", "raw", info, {gguf.name: str(gguf)}, engine_options)
    with tempfile.TemporaryDirectory() as folder:
        native = xllamacpp.Server(parameters(settle(spec), None, Path(folder) / "s.sock", "key"))

        def ask(asked: dict[str, Any]) -> tuple[int, float]:
            began, seen = time.perf_counter(), {"first": 0.0, "tokens": 0}

            def receive(chunk: Any) -> bool:
                found = chunk if isinstance(chunk, dict) else json.loads(chunk)
                choices = found.get("choices")
                if not seen["first"] and choices and choices[0]["delta"].get("content"):
                    seen["first"] = time.perf_counter() - began
                if found.get("usage"):
                    seen["tokens"] = found["usage"]["completion_tokens"]
                return False

            native.handle_chat_completions(asked, receive)
            return int(seen["tokens"]), float(seen["first"])

        yield ask


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--threads", type=int, help="of both sides, for one stream and for batches; default: Craton's")
    parser.add_argument("--starters", type=Path, default=Path("build/starters"))
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.raw:
        serve_raw(given.raw, options(given))
        return
    fetch_starters(given.starters)
    gguf = given.starters / "SmolLM2-135M-Instruct.Q4_1.gguf"
    config = "[engines.llama_cpp]\n" + "".join(f"{name} = {value}\n" for name, value in options(given).items())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with serving(home, config=config) as server, raw_engine(gguf, given) as raw:
            server.craton("models", "pull", "smollm2-135m-instruct", "--from", str(given.starters))
            craton = over_http(server)
            measure(craton, given.streams), raw("streams", given.streams)  # the first round warms both up
            rates = [(measure(craton, given.streams), raw("streams", given.streams)) for _ in range(given.rounds)]
            firsts = [alternating(craton, raw, number) for number in range(100, 100 + 6 * given.rounds)]
    ratios = [ours / theirs for ours, theirs in rates]
    print(
        f"{given.streams} streams: craton {median(our for our, _ in rates):.0f} tokens/s, "
        f"raw {median(raw for _, raw in rates):.0f} tokens/s"
    )
    print(f"ratio {median(ratios):.3f} (goal 0.95; rounds {min(ratios):.2f} to {max(ratios):.2f})")
    more = [ours - theirs for ours, theirs in firsts]
    low, _, high = quantiles(more, n=4)
    print(
        f"first token, one stream: craton {median(our for our, _ in firsts):.1f} ms, "
        f"raw {median(raw for _, raw in firsts):.1f} ms"
    )
    print(f"difference {median(more):+.1f} ms (goal: at most +2; quartiles {low:+.1f} to {high:+.1f})")


if __name__ == "__main__":
    main()
