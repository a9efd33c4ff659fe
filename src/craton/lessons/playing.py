"""Plays a lesson: its parts in their order, until one fails."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from craton.lessons.steps import Result, run_step
from craton.lessons.words import Lesson, Prediction, Prose, Step


class Stage(Protocol):
    """Who watches. `ready` and `predict` may raise Left, when a learner goes."""

    def prose(self, text: str) -> None: ...

    def predict(self, prediction: Prediction) -> str:
        """The learner's answer, "" when nobody is asked."""
        ...

    def ready(self, step: Step) -> None:
        """Shows the code that runs next."""
        ...

    def output(self, text: str) -> None:
        """A piece of what a step prints, as it comes."""
        ...

    def ended(self, step: Step, result: Result) -> None: ...

    def compared(self, predicted: str, outcome: str) -> None: ...

    def noticed(self, step: Step, result: Result) -> None:
        """What a check said after the `step` that broke what it looks at."""
        ...


class Left(Exception):
    """The learner left the lesson."""


class Played(Struct, frozen=True):
    """passed: the checks that did. failed: the step that did not end as it should, and why; "" when all did."""

    passed: tuple[str, ...]
    predictions: dict[str, str]
    seconds: float
    failed: str = ""
    reason: str = ""


def play(lesson: Lesson, folder: Path, environment: Mapping[str, str], stage: Stage) -> Played:
    """Runs every part but the clean-up in this folder. Raises Left."""
    began = time.monotonic()
    passed: list[str] = []
    predictions: dict[str, str] = {}
    asked: Prediction | None = None
    failed = reason = ""
    for part in lesson.parts:
        if isinstance(part, Prose):
            stage.prose(part.text)
        elif isinstance(part, Prediction):
            asked = part
            predictions[part.question] = stage.predict(part)
        elif part.role != "cleanup":
            stage.ready(part)
            reason, result = _do(part, lesson, folder, environment, stage)
            if reason:
                failed = part.name
                break
            if asked is not None and result.outcome:
                stage.compared(predictions[asked.question], result.outcome)
                asked = None
            if part.role == "check":
                passed.append(part.name)
    answered = {question: answer for question, answer in predictions.items() if answer}
    return Played(tuple(passed), answered, time.monotonic() - began, failed, reason)


def recheck(lesson: Lesson, folder: Path, environment: Mapping[str, str], stage: Stage) -> Played:
    """Only the checks, in a folder where the lesson was played; all of them, also when one fails."""
    began = time.monotonic()
    passed, failed, reason = [], "", ""
    for step in lesson.steps("check"):
        result = run_step(step, folder, environment, stage.output)
        stage.ended(step, result)
        if result.passed:
            passed.append(step.name)
        elif not failed:
            failed, reason = step.name, _why(result)
    return Played(tuple(passed), {}, time.monotonic() - began, failed, reason)


def clean_up(lesson: Lesson, folder: Path, environment: Mapping[str, str], stage: Stage) -> None:
    """Puts back what the lesson changed and removes its folder. Does nothing when there is none."""
    if not folder.is_dir():
        return
    for step in lesson.steps("cleanup"):
        stage.ended(step, run_step(step, folder, environment, stage.output))
    shutil.rmtree(folder)


def _do(step: Step, lesson: Lesson, folder: Path, environment: Mapping[str, str], stage: Stage) -> tuple[str, Result]:
    """Why the step did not end as it should, or "", and how it ended."""
    if step.role != "break":
        result = run_step(step, folder, environment, stage.output)
        stage.ended(step, result)
        return "" if result.passed else _why(result), result
    with tempfile.TemporaryDirectory(prefix="craton-learn-") as temporary:
        copy = Path(temporary) / "broken"  # so that what was seen before stays as it was
        shutil.copytree(folder, copy)
        result = run_step(step, copy, environment, stage.output)
        stage.ended(step, result)
        if not result.passed:
            return _why(result), result
        verdict = run_step(lesson.check(step.breaks), copy, environment, lambda _: None)
    stage.noticed(step, verdict)
    return f"the check {step.breaks!r} did not notice" if verdict.passed else "", result


def _why(result: Result) -> str:
    return result.last_line or f"it ended with status {result.status}"
