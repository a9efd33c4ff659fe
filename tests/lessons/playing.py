"""Lessons, played against a real server with the starter models, as `make mission` does.

Tests are dealt out by file, so the lessons are shared out among some files, which hold nothing but the two laws below.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from craton.lessons.shelf import Shelf
from tests.servers import clean_environment

SHELF = Shelf.installed()
PATIENCE = 900  # seconds; a lesson is for five quiet minutes at most, and here others have the processors as well


def _those(first: int, last: int) -> tuple[str, ...]:
    return tuple(name for name in SHELF.names() if first <= int(name[:2]) <= last)


PLAYED_IN = {
    "test_playing_models": _those(1, 2),
    "test_playing_conversations": _those(3, 7),
    "test_playing_documents": _those(8, 12),
    "test_playing_the_hub_and_learners": _those(13, 21),
    "test_playing_language_models": _those(22, 25) + _those(28, 28),
    "test_playing_networks": _those(26, 27) + _those(29, 99),
}
"""The first ones stand for all in `make test`; the others are slow, and `make slow` or `make mission` plays them."""


def mission(names: Sequence[str], starters: Path, home: Path) -> dict[str, Any]:
    """What a mission of these lessons reports, with a server of its own."""
    command = [sys.executable, "-m", "craton", "learn", "mission", *names, "--json", "--from", str(starters)]
    done = subprocess.run(
        command,
        env=clean_environment(home),
        capture_output=True,
        text=True,
        timeout=len(names) * PATIENCE,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    assert done.returncode == (1 if found["totals"]["failed"] else 0)
    return found


def test_a_lesson_passes_and_its_breaks_are_noticed(lesson_played: str, played: dict[str, Any]) -> None:
    told = next(found for found in played["lessons"] if found["name"] == lesson_played)
    if told["reason"].startswith("Install "):
        pytest.skip(told["reason"])
    assert (told["status"], told["reason"]) == ("passed", "")
    assert told["checks"] == [step.name for step in SHELF.lesson(lesson_played).steps("check")]


def test_every_row_that_claims_these_lessons_works(played: dict[str, Any]) -> None:
    """A row that claims a lesson of another file as well works when it passes there: see test_mission.py."""
    names = {found["name"] for found in played["lessons"] if found["status"] == "passed"}
    claimed = {row.id for row in SHELF.rows() if row.proof and {proof.split("/")[0] for proof in row.proof} <= names}
    assert {row["id"] for row in played["rows"] if row["status"] == "works"} == claimed
    assert played["total"] == sum(played["totals"].values()) == len(SHELF.rows())
