"""kill -9 of the server under load: it starts again on the same home, and what it acknowledged is there."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.dialects import NAMES, send, speak
from tests.faults.seen import descendants, is_alive, wait_until
from tests.servers import serving

SMALL = "smollm2-135m-instruct"
FLUSHED = 0.5  # seconds after which an answered request's row is on the disk: ten groups


@pytest.mark.slow
def test_a_killed_server_leaves_no_worker_and_loses_no_row_that_was_due(
    copy_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    home = copy_home(tmp_path / "home")
    answered: list[tuple[float, str]] = []
    stop = threading.Event()

    with serving(home) as server:
        speak("openai", server).ask(SMALL, "Hi", 2)
        assert server.craton("keys", "create", "--name", "before").returncode == 0

        def load(name: str, model: str) -> None:
            dialect = speak(name, server)
            while not stop.is_set():
                with contextlib.suppress(Exception):
                    response = send(dialect, dialect.body(model, "hello there", max_tokens=4), model)
                    request_id = dialect_request_id(response.headers)
                    if response.status_code == 200:
                        answered.append((time.monotonic(), request_id))

        threads = [threading.Thread(target=load, args=(name, model)) for name in NAMES for model in ("echo", SMALL)]
        for thread in threads:
            thread.start()
        time.sleep(2.0)
        below = descendants(server.pid)
        assert below
        killed_at = time.monotonic()
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait(10)
        stop.set()
        for thread in threads:
            thread.join()
        wait_until(lambda: not any(is_alive(pid) for pid in below))

    with contextlib.closing(sqlite3.connect(home / "craton.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    due = {request_id for at, request_id in answered if at < killed_at - FLUSHED}
    assert len(due) > 10
    with serving(home) as again:
        assert again.token == server.token
        assert speak("aws", again).ask("echo", "still here") == "still here"
        assert speak("anthropic", again).ask(SMALL, "Hi", 2)
        assert "before" in again.craton("keys", "list").stdout
    with contextlib.closing(sqlite3.connect(home / "craton.db")) as database:
        kept = {row[0] for row in database.execute("SELECT id FROM requests")}
    assert not due - kept


def dialect_request_id(headers: object) -> str:
    found = [headers.get(name) for name in ("x-amzn-requestid", "x-request-id", "request-id")]  # type: ignore[attr-defined]
    return next(value for value in found if value)


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_leaves_no_worker(copy_home: Callable[[Path], Path], tmp_path: Path) -> None:
    with serving(copy_home(tmp_path / "home")) as server:
        speak("openai", server).ask(SMALL, "Hi", 2)
        with server.client() as client:
            client.post("/v1/embeddings", json={"model": "all-minilm-l6-v2", "input": "hello"})
        below = descendants(server.pid)
        assert below
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        wait_until(lambda: not any(is_alive(pid) for pid in below))
