"""Starts real `craton serve` processes for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

READY_SECONDS = 60.0  # generous: the machine may be busy
ONE_THREAD = "[engines.llama_cpp]\nthreads = 1\n"
"""llama.cpp's threads wait for each other by spinning; two servers of two tests' do so at each other's cost."""


@dataclass(frozen=True)
class RunningServer:
    """A server process with its root key."""

    url: str
    token: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path
    environment: Mapping[str, str] = field(repr=False)

    @property
    def access_key_id(self) -> str:
        return self.token.split("-", 2)[1]

    @property
    def secret_access_key(self) -> str:
        return self.token.split("-", 2)[2]

    @property
    def pid(self) -> int:
        return self.process.pid

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=120, verify=False)

    def craton(self, *arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command line against this server's home."""
        return craton(*arguments, environment=self.environment, check=check, stdin=stdin)


def craton(
    *arguments: str, environment: Mapping[str, str], check: bool = True, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "craton", *arguments]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, input=stdin, timeout=120, check=False
    )
    if check and done.returncode:
        raise AssertionError(
            f"craton {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done


def clean_environment(home: Path) -> dict[str, str]:
    """A new user's: nothing of this machine's settings, an empty home."""
    user = home.parent / f"{home.name}-user"
    user.mkdir(parents=True, exist_ok=True)
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "COVERAGE_PROCESS_START") if name in os.environ
    }
    return kept | {"HOME": str(user), "CRATON_HOME": str(home), "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(
    home: Path, *arguments: str, config: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[RunningServer]:
    """A server on a free port of 127.0.0.1, ended (SIGTERM, then SIGKILL) when the block ends."""
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "config.toml"
    text = config or (settings.read_text() if settings.exists() else "")
    if "[engines.llama_cpp]" not in text:
        settings.write_text(f"{text}\n{ONE_THREAD}")
    elif config:
        settings.write_text(config)
    variables = clean_environment(home) | dict(environment or {})
    log = home.parent / f"{home.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "craton", "serve", "--port", "0", *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        url = _wait_until_ready(home, process, log)
        yield RunningServer(url, (home / "root.key").read_text().strip(), home, process, log, variables)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(home: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    give_up = time.monotonic() + READY_SECONDS
    address = home / "server.json"
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}:\n{log.read_text()}")
        try:
            found = msgspec.json.decode(address.read_bytes())
            if found["pid"] == process.pid:
                return str(found["url"])
        except (OSError, msgspec.DecodeError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"the server was not ready after {READY_SECONDS} s:\n{log.read_text()}")
