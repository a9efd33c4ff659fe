"""Servers and homes for the command line's tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeVar

import pytest
from click.testing import CliRunner

from craton.cli.main import main
from tests.servers import RunningServer, clean_environment, craton, serving

Craton = Callable[..., CompletedProcess[str]]
T = TypeVar("T")

SCRIPT = """\
rules:
  - when: {contains: slowly}
    reply: one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    delay: {between_ms: 1000}
  - when: {contains: break}
    reply: one two three four
    fault: {after: 2, kind: fail, reason: out of memory}
  - when: {contains: think}
    reply: [{reasoning: hm hm}, {text: done thinking}]
  - when: {contains: escape}
    reply: "before\\e[2Jafter"
  - when: {contains: cut}
    reply: half a
    stop: max_tokens
"""


def eventually(read: Callable[[], T | None]) -> T:
    """What `read` gives once it gives something: rows of requests are written in groups, a moment later."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        found = read()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def traced(run: Craton, request_id: str, *options: str) -> str:
    """`craton trace` of a request that has just ended."""
    return eventually(lambda: run("trace", request_id, *options, check=False).stdout)


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose echo follows SCRIPT."""
    home = tmp_path_factory.mktemp("scripted") / "home"
    home.mkdir()
    (home / "replies.yaml").write_text(SCRIPT)
    config = '[echo]\nscript = "replies.yaml"\n\n[prices]\necho = { input = 1.0, output = 2.0 }\n'
    with serving(home, config=config) as running:
        yield running


@pytest.fixture(scope="session")
def stocked_home(tmp_path_factory: pytest.TempPathFactory, starter_files: Path) -> Path:
    """A home into which the starter models were pulled, from files, without a server."""
    home = tmp_path_factory.mktemp("stocked") / "home"
    craton("models", "pull", "--starters", "--from", str(starter_files), environment=clean_environment(home))
    return home


@pytest.fixture(scope="session")
def stocked(stocked_home: Path) -> Iterator[RunningServer]:
    with serving(stocked_home) as running:
        yield running


@pytest.fixture(scope="session")
def near(stocked: RunningServer) -> Craton:
    """The command line, in this process, for the server that has the starter models."""
    return inside(stocked.environment)


@pytest.fixture(scope="session")
def near_scripted(scripted: RunningServer) -> Craton:
    return inside(scripted.environment)


@pytest.fixture
def alone(tmp_path: Path) -> Craton:
    """The command line in a home where no server runs."""
    return inside(clean_environment(tmp_path / "home"))


def inside(environment: Mapping[str, str]) -> Craton:
    """Runs commands in this process, which spares each the second that importing takes."""

    def run(*arguments: str, check: bool = True, stdin: str | None = None, **more: str) -> CompletedProcess[str]:
        unset = dict.fromkeys(name for name in os.environ if name.startswith("CRATON_"))
        result = CliRunner().invoke(main, arguments, input=stdin, env=unset | dict(environment) | more)
        if check and result.exit_code:
            raise AssertionError(f"craton {' '.join(arguments)} ended with {result.exit_code}:\n{result.output}")
        return CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    return run
