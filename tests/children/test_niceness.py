"""Who lets others go first, also where Linux weighs sessions and not processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os
from pathlib import Path
from craton.children.niceness import be_nice

be_nice({niceness})
group = Path("/proc/self/autogroup")
print(os.nice(0), group.read_text().split()[-1] if group.exists() else "none")
"""


def told(niceness: int, *before: str, session: bool = True) -> list[str]:
    """The process's niceness, and its session's."""
    command = [*before, sys.executable, "-c", CODE.format(niceness=niceness)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=session)
    return done.stdout.split()


@pytest.fixture
def groups() -> None:
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("sessions are not weighed here")


@pytest.mark.usefixtures("groups")
def test_a_nice_process_makes_its_session_nice() -> None:
    assert told(10) == ["10", "10"]


@pytest.mark.usefixtures("groups")
def test_what_a_nice_process_starts_stays_so_in_a_session_of_its_own() -> None:
    assert told(0, "nice", "-n", "12") == ["12", "12"]


@pytest.mark.usefixtures("groups")
def test_a_session_that_is_another_s_is_left_alone() -> None:
    assert told(10, session=False) == ["10", Path("/proc/self/autogroup").read_text().split()[-1]]


def test_nobody_becomes_less_nice() -> None:
    assert told(5, "nice", "-n", "9")[0] == "9"
