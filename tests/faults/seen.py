"""What can be seen of a server from outside: its memory, its processes, the models that it runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import RunningServer

PATIENCE = 30.0  # seconds; generous, the machine may be busy
NOT_FOR_CLIENTS = ("Traceback", "sqlalchemy", "sqlite", "/src/", "site-packages", 'File "', "0x7f")


def wait_until(what: Callable[[], Any], seconds: float = PATIENCE) -> float:
    """Waits until `what` is true; how long it took, in seconds."""
    begun = time.monotonic()
    while not what():
        waited = time.monotonic() - begun
        assert waited < seconds, f"not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - begun


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no memory")


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return children + [below for child in children for below in descendants(child)]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def loaded(server: RunningServer, model: str) -> dict[str, Any] | None:
    """The line of /api/craton/v1/status about a model, None when it is not loaded."""
    with server.client() as client:
        lines = client.get("/api/craton/v1/status").json()["loaded"]
    return next((line for line in lines if line["model"] == model), None)


def running(server: RunningServer, model: str) -> int:
    line = loaded(server, model)
    return 0 if line is None else int(line["running"]) + int(line["waiting"])


def worker_of(server: RunningServer, model: str) -> int:
    """The process id of a model's worker; waits for one that is starting again."""
    found: list[int] = []

    def there() -> bool:
        line = loaded(server, model)
        found[:] = [line["pid"]] if line and line["pid"] else []
        return bool(found)

    wait_until(there)
    return found[0]


def assert_tells_nothing(text: str, server: RunningServer) -> None:
    """No path of this installation and no word of its insides stands in what a client is sent."""
    canaries = (*NOT_FOR_CLIENTS, str(server.home), server.home.name + "/", server.secret_access_key, os.getcwd())
    assert not [canary for canary in canaries if canary in text], text[:500]
