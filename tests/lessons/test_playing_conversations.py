"""Prompts, limits, streams, tools, names."""

from __future__ import annotations

import pytest

from tests.lessons.playing import (
    test_a_lesson_passes_and_its_breaks_are_noticed,
    test_every_row_that_claims_these_lessons_works,
)

__all__ = ["test_a_lesson_passes_and_its_breaks_are_noticed", "test_every_row_that_claims_these_lessons_works"]

pytestmark = pytest.mark.slow
