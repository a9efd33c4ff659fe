"""How a row is judged: it works only when every lesson that it claims passed as a whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from craton.core.errors import InvalidRequest, NotFound
from craton.lessons.mission import Tried, judge, totals, unmet_needs
from craton.lessons.playing import Played
from craton.lessons.shelf import Row, Shelf
from craton.lessons.words import Lesson

PASSED = Tried("01-a", Played(("x",), {}, 1.0))
FAILED = Tried("02-b", Played(("x",), {}, 1.0, failed="spoil", reason="the check 'x' did not notice"))
UNMET = Tried("03-c", unmet="The server has no model.")


def row(*proof: str, refused: str = "") -> Row:
    return Row("llm/x", "LLMs", "x", "x is seen.", proof, refused)


@pytest.mark.parametrize(
    ("claim", "status", "reason"),
    [
        (row("01-a/x"), "works", "01-a/x"),
        (row("01-a/x", "02-b/x"), "failed", "02-b: spoil: the check 'x' did not notice"),
        (row("01-a/x", "03-c/x"), "not run", "03-c: The server has no model."),
        (row("03-c/x", "02-b/x"), "failed", "02-b: spoil: the check 'x' did not notice"),
        (row(refused="It has no API."), "refused", "It has no API."),
        (row(), "missing", ""),
    ],
)
def test_a_row_is_judged_by_its_lessons(claim: Row, status: str, reason: str) -> None:
    (judged,) = judge([claim], [PASSED, FAILED, UNMET])
    assert (judged.status, judged.reason) == (status, reason)


def test_the_sums_name_every_status() -> None:
    judged = judge([row("01-a/x"), row(), row()], [PASSED])
    assert totals(judged) == {"works": 1, "refused": 0, "missing": 2, "failed": 0, "not run": 0}


def test_what_a_lesson_needs_is_named() -> None:
    lesson = Lesson("01-a", "A", 1, ("small", "big"), ("boto3", "openai", "psycopg", "torch", "skops"), ())
    assert unmet_needs(lesson, {"small", "big"}, lambda _: True, {}) == ""
    sentence = unmet_needs(lesson, {"small"}, lambda package: package == "boto3", {})
    assert "no big" in sentence
    assert "Install openai and psycopg and torch and skops: " in sentence
    assert "`pip install 'craton[clients]' 'craton[postgres]' 'craton[train]'`" in sentence
    assert "small" not in sentence


@pytest.mark.parametrize(
    ("config", "met"),
    [
        ("", False),
        ('[outgoing]\nallow = ["example.com"]', False),
        ('[outgoing]\nallow = ["example.com", "127.0.0.1/32"]\n[databases.x]\nurl = "y"', True),
        ('outgoing = "127.0.0.1/32"', False),
    ],
)
def test_what_config_must_say_is_shown_when_it_does_not(config: str, met: bool) -> None:
    wanted = '[outgoing]\nallow = ["127.0.0.1/32"]\n'
    lesson = Lesson("01-a", "A", 1, (), (), (), wanted)
    sentence = unmet_needs(lesson, (), lambda _: True, tomllib.loads(config))
    assert (sentence == "") is met
    assert met or wanted.strip() in sentence


def test_a_lesson_is_found_by_number_and_by_name(tmp_path: Path) -> None:
    text = "---\ntitle: T\nminutes: 1\n---\n```sh check name=ok\ntrue\n```\n"
    (tmp_path / "02-two-words.md").write_text(text)
    shelf = Shelf(tmp_path)
    found = {shelf.lesson(name).name for name in ("2", "02", "two-words", "02-two-words")}
    assert found == {"02-two-words"}
    with pytest.raises(NotFound):
        shelf.lesson("3")


def test_wrong_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.toml").write_text('[[row]]\nid = "llm/x"\nwords = "x"\n')
    with pytest.raises(InvalidRequest, match=r"rows\.toml"):
        Shelf(tmp_path).rows()
