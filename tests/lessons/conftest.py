"""Lessons of the tests' own: small ones that need no server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from craton.lessons.reading import read_lesson
from craton.lessons.words import Lesson

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
