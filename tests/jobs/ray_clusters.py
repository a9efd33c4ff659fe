"""Ray clusters for tests: a real one of two nodes where CRATON_TEST_RAY names the `ray` command (half a minute to
start), and a stand-in that speaks the same Jobs API, as strictly, and really starts processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

READY_SECONDS = 120.0
KNOWN = {"entrypoint", "submission_id", "entrypoint_num_cpus", "runtime_env", "metadata"}


@dataclass(frozen=True)
class ClusterForTests:
    url: str
    token: str
    real: bool

    def jobs(self) -> list[dict[str, Any]]:
        headers = {"authorization": f"Bearer {self.token}"}
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/jobs/", headers=headers, trust_env=False).json()
        return found


class _Jobs(BaseHTTPRequestHandler):
    token: str
    started: dict[str, subprocess.Popen[bytes]]
    stopped: set[str]

    def do_GET(self) -> None:
        if self._allowed():
            path = self.path.removeprefix("/api/jobs/")
            if not path:
                self._answer(200, [self._shown(name) for name in self.started])
            elif (name := path.removesuffix("/logs")) not in self.started:
                self._answer(404, f"Job {name} does not exist")
            else:
                self._answer(200, {"logs": "words of it"} if path.endswith("/logs") else self._shown(name))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self._allowed():
            return
        path = self.path.removeprefix("/api/jobs/")
        if path.endswith("/stop"):
            name = path.removesuffix("/stop")
            self.stopped.add(name)
            with suppress(ProcessLookupError):
                os.killpg(self.started[name].pid, signal.SIGKILL)
            self._answer(200, {"stopped": True})
            return
        asked = json.loads(body)
        if not asked.keys() <= KNOWN or asked["submission_id"] in self.started:
            self._answer(400, f"unknown member, or {asked['submission_id']} exists")
            return
        variables = os.environ | asked["runtime_env"]["env_vars"]
        process = subprocess.Popen(asked["entrypoint"], shell=True, env=variables, start_new_session=True)
        self.started[asked["submission_id"]] = process
        self._answer(200, {"submission_id": asked["submission_id"]})

    def _shown(self, name: str) -> dict[str, Any]:
        code = self.started[name].poll()
        ended = "STOPPED" if name in self.stopped else "FAILED" if code else "SUCCEEDED"
        return {"submission_id": name, "status": "RUNNING" if code is None else ended}

    def _allowed(self) -> bool:
        allowed = self.headers.get("authorization") == f"Bearer {self.token}"
        if not allowed:
            self._answer(401, "Unauthorized")
        return allowed

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def stand_in() -> Iterator[ClusterForTests]:
    token = secrets.token_hex()
    handler = type("Handler", (_Jobs,), {"token": token, "started": {}, "stopped": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield ClusterForTests(f"http://127.0.0.1:{server.server_port}", token, real=False)
        finally:
            server.shutdown()
            thread.join()
            for process in handler.started.values():  # type: ignore[attr-defined]
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def real() -> Iterator[ClusterForTests]:
    """A head and a second node, with a core each."""
    ray = os.environ.get("CRATON_TEST_RAY")
    if not ray:
        pytest.skip("CRATON_TEST_RAY names no Ray")
    token, folder = secrets.token_hex(24), tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    variables = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": folder,
    }
    port, dashboard = _free_port(), _free_port()
    common = ["--num-cpus", "1", "--object-store-memory", "80000000", "--disable-usage-stats", "--block"]
    head = ["--head", "--node-ip-address", "127.0.0.1", "--port", str(port), "--dashboard-host", "127.0.0.1"]
    nodes = []
    try:
        nodes.append(_start([ray, "start", *head, "--dashboard-port", str(dashboard), *common], variables, folder))
        url = f"http://127.0.0.1:{dashboard}"
        _wait(url, token, 1)
        nodes.append(_start([ray, "start", "--address", f"127.0.0.1:{port}", *common], variables, folder))
        _wait(url, token, 2)
        yield ClusterForTests(url, token, real=True)
    finally:
        for node in reversed(nodes):
            os.killpg(node.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                node.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _start(command: list[str], variables: dict[str, str], folder: str) -> subprocess.Popen[bytes]:
    with open(f"{folder}/log", "ab") as log:
        return subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _wait(url: str, token: str, nodes: int) -> None:
    give_up = time.monotonic() + READY_SECONDS
    headers = {"authorization": f"Bearer {token}"}
    while time.monotonic() < give_up:
        try:
            found = httpx.get(f"{url}/nodes?view=summary", headers=headers, trust_env=False).json()
            if len(found["data"]["summary"]) >= nodes:
                return
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.5)
    raise AssertionError("the cluster was not ready")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
