"""The lessons as they are written, the command line that plays them, the guide's rows, and the examples."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from craton.lessons.shelf import Shelf
from tests.lessons.playing import PLAYED_IN
from tests.servers import RunningServer

SHELF = Shelf.installed()
LESSONS = SHELF.lessons()
ROOT = Path(__file__).parents[2]
ROWS_OF_THE_GUIDE = 123


def test_every_lesson_is_played_in_one_file() -> None:
    played = [name for names in PLAYED_IN.values() for name in names]
    assert sorted(played) == SHELF.names()
    assert {path.stem for path in Path(__file__).parent.glob("test_playing_*.py")} == set(PLAYED_IN)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_every_check_of_a_lesson_is_made_to_fail_in_it(lesson: Any) -> None:
    assert {step.breaks for step in lesson.steps("break")} == {step.name for step in lesson.steps("check")}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_imports_nothing_of_craton(lesson: Any) -> None:
    for part in lesson.parts:
        assert not re.search(r"^\s*(import|from) craton\b", getattr(part, "code", ""), re.MULTILINE)


def test_the_rows_are_the_guides() -> None:
    rows = SHELF.rows()
    assert len(rows) == len({row.id for row in rows}) == ROWS_OF_THE_GUIDE
    chapters = list(dict.fromkeys(row.chapter for row in rows))
    assert chapters[0] == "Title and purpose"
    assert chapters[-1] == "Next steps"
    assert [row.chapter for row in rows] == [chapter for chapter in chapters for row in rows if row.chapter == chapter]
    assert all(row.words and row.works_when for row in rows)
    assert not any(row.proof and row.refused for row in rows)


def test_rows_and_checks_name_each_other() -> None:
    claimed = {(row.id, proof) for row in SHELF.rows() for proof in row.proof}
    marked = {
        (row, f"{lesson.name}/{step.name}") for lesson in LESSONS for step in lesson.steps("check") for row in step.rows
    }
    assert claimed == marked


def test_lessons_are_numbered_without_a_gap() -> None:
    assert [name[:2] for name in SHELF.names()] == [f"{number:02}" for number in range(1, len(LESSONS) + 1)]


def test_the_command_line_plays_checks_and_forgets_a_lesson(model_server: RunningServer) -> None:
    played = model_server.craton("learn", "start", "02", "--yes")
    assert "Done: 2 of 2 checks passed." in played.stdout
    assert "fails now, as it should" in played.stdout
    folder = model_server.home / "learn" / "02-tokens"
    assert (folder / "bills.json").is_file()
    listed = {
        lesson["name"]: lesson for lesson in msgspec.json.decode(model_server.craton("learn", "list", "--json").stdout)
    }
    assert listed["02-tokens"]["passed"] == ["not-words", "exact"]
    assert listed["02-tokens"]["finished"]
    assert not listed["01-what-a-model-is"]["finished"]
    assert model_server.craton("learn", "check", "tokens").returncode == 0

    (folder / "bills.json").write_text('[{"counted": 1, "billed": 2, "request": "none"}]')
    again = model_server.craton("learn", "check", "tokens", "--json", check=False)
    assert again.returncode == 1
    assert msgspec.json.decode(again.stdout)["failed"] == "exact"

    model_server.craton("learn", "reset", "2")
    assert not folder.exists()
    assert model_server.craton("learn", "check", "tokens", check=False).returncode == 1


def test_a_mission_says_what_could_not_run(server: RunningServer) -> None:
    needed = {lesson.name: lesson.models for lesson in LESSONS if lesson.models}
    done = server.craton("learn", "mission", *needed, "--url", server.url, "--json")
    found = msgspec.json.decode(done.stdout)
    assert found["totals"]["works"] == found["totals"]["failed"] == 0
    assert found["totals"]["not run"] == len([row for row in SHELF.rows() if row.proof])
    reasons = {lesson["name"]: lesson["reason"] for lesson in found["lessons"]}
    assert all(any(model in reasons.pop(name) for model in models) for name, models in needed.items())
    assert set(reasons.values()) == {"It was not to be played."}


def test_an_unknown_lesson_is_told(server: RunningServer) -> None:
    done = server.craton("learn", "start", "99", check=False)
    assert done.returncode == 1
    assert "craton learn list" in done.stderr


def test_a_lesson_whose_model_is_missing_is_not_begun(server: RunningServer) -> None:
    done = server.craton("learn", "start", "01", "--yes", check=False)
    assert done.returncode == 1
    assert "craton models pull --starters" in done.stderr
    assert not (server.home / "learn").exists()


ELSEWHERE = {"customization.py", "python_support.py", "workshop.py"}
"""What wants a smaller base, writes a file, or wants aliases is run by other tests."""


@pytest.mark.parametrize("example", sorted({path.name for path in (ROOT / "examples").glob("*.py")} - ELSEWHERE))
def test_an_example_runs(example: str, model_server: RunningServer) -> None:
    done = model_server.craton("exec", "--", sys.executable, str(ROOT / "examples" / example))
    assert len(done.stdout.split()) > 10
