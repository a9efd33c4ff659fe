"""Servers and homes for the command line's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.servers import RunningServer, clean_environment, craton, serving

Craton = Callable[..., CompletedProcess[str]]

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


@pytest.fixture
def alone(tmp_path: Path) -> Craton:
    """The command line in a home where no server runs."""
    environment = clean_environment(tmp_path / "home")

    def run(*arguments: str, check: bool = True, stdin: str | None = None, **more: str) -> CompletedProcess[str]:
        return craton(*arguments, environment=environment | more, check=check, stdin=stdin)

    return run
