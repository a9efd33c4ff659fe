"""Echo over HTTP against a bare Starlette "hello" on the same server software: what Craton's own path costs.

Closed loop, the two in turn, several rounds; the ratio is taken round by round and its median printed.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.load import Load, Result, run
from tests.servers import serving

HELLO = """
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/hello", hello)])
uvicorn.run(app, port={port}, access_log=False, log_level="error", loop="uvloop", http="httptools")
"""
CHAT = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "Hello, what is supervised learning?"}]})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench echo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "home") as craton, _Hello() as hello:
        headers = {"authorization": f"Bearer {craton.token}", "content-type": "application/json"}
        sides = {
            "starlette hello": Load(f"{hello}/hello", "GET", {}, b"", given.connections, given.seconds),
            "craton echo": Load(
                f"{craton.url}/v1/chat/completions", "POST", headers, CHAT.encode(), given.connections, given.seconds
            ),
        }
        results: dict[str, list[Result]] = {name: [] for name in sides}
        for _ in range(given.rounds):
            for name, load in sides.items():
                results[name].append(run(load))
    for name, rounds in results.items():
        rate, p50, p99 = (median(getattr(result, field) for result in rounds) for field in ("rate", "p50", "p99"))
        print(f"{name:16} {rate:8.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    ratios = [ours.rate / theirs.rate for theirs, ours in zip(*results.values(), strict=True)]
    print(f"ratio            {median(ratios):8.2f}   (goal: 0.50; rounds {min(ratios):.2f} to {max(ratios):.2f})")


class _Hello:
    """The rival, in a process of its own."""

    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._process = subprocess.Popen([sys.executable, "-c", HELLO.format(port=self._port)])
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return f"http://127.0.0.1:{self._port}"
            time.sleep(0.02)
        raise RuntimeError("the rival did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    main()
