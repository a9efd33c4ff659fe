"""Which grader a specification asks for."""

from __future__ import annotations

from craton.training.protocol import Outside
from craton.training.specification.limits import check_grader
from craton.training.specification.tuning import Grader
from craton.training.tuning.graders.http import HttpGrader
from craton.training.tuning.graders.judge import JudgeGrader
from craton.training.tuning.graders.protocol import Grading
from craton.training.tuning.graders.python import PythonGrader


def open_grader(grader: Grader, outside: Outside) -> Grading:
    """Raises InvalidRequest; Unsupported where functions of users may not run; NotFound for a judge."""
    check_grader(grader)
    if grader.python:
        outside.allow_code()
        return PythonGrader(grader.python, grader.timeout)
    if grader.url:
        return HttpGrader(grader.url, grader.timeout, outside)
    return JudgeGrader(grader.judge, grader.instruction, outside)
