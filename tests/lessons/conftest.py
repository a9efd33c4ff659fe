"""Lessons of the tests' own: small ones that need no server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from craton.lessons.reading import read_lesson
from craton.lessons.words import Lesson

pytest.register_assert_rewrite("tests.lessons.playing")

from tests.lessons.playing import PLAYED_IN, mission  # noqa: E402 - what fails there is to be told in full

FRONT = "---\ntitle: A lesson\nminutes: 1\n---\n"


@pytest.fixture
def lesson() -> Callable[[str], Lesson]:
    """A lesson from the Markdown that comes after its front matter."""
    return lambda body: read_lesson("01-test", FRONT + body)


@pytest.fixture
def environment() -> dict[str, str]:
    """For steps that ask no server."""
    return {"PATH": os.environ["PATH"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lesson_played" in metafunc.fixturenames:
        metafunc.parametrize("lesson_played", PLAYED_IN[Path(metafunc.module.__file__).stem])


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, starter_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """A mission of this file's lessons."""
    return mission(PLAYED_IN[request.path.stem], starter_files, tmp_path_factory.mktemp("mission") / "home")
