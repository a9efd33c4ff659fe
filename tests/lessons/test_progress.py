"""learn.json keeps what was done, and nothing else is lost when one lesson is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from craton.core.errors import Damaged
from craton.lessons.progress import Done, Progress


def test_what_was_done_is_kept(tmp_path: Path) -> None:
    Progress(tmp_path / "home" / "learn.json").record("01-x", Done(("a", "b"), {"How many?": "3"}, 5.0))
    assert Progress(tmp_path / "home" / "learn.json").of("01-x") == Done(("a", "b"), {"How many?": "3"}, 5.0)


def test_forgetting_one_keeps_the_others(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "learn.json")
    progress.record("01-x", Done(("a",)))
    progress.record("02-y", Done(("b",)))
    progress.forget("01-x")
    assert (progress.of("01-x"), progress.of("02-y")) == (Done(), Done(("b",)))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "learn.json").write_text("{")
    with pytest.raises(Damaged, match=r"learn\.json"):
        Progress(tmp_path / "learn.json").of("01-x")
