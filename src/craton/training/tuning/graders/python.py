"""A grader that is a Python function, run in a child that can be killed; see `graders.child` for what it may not do."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from craton.children.blocking import Blocking, Gone
from craton.core.errors import InvalidRequest
from craton.training.tuning.graders.protocol import Sample, fault
from craton.training.tuning.graders.words import Failed, Grade, Ready, Said, Scored, Source

MODULE = "craton.training.tuning.graders.child"
START_SECONDS = 60.0

log = logging.getLogger(__name__)


class PythonGrader:
    def __init__(self, source: str, seconds: float) -> None:
        """seconds: for a batch. Raises InvalidRequest for a module that cannot be read or has no `grade`."""
        self._seconds = seconds
        self._child = Blocking[Said](MODULE, [str(max(seconds, 1.0))], Said)
        try:
            said = self._child.ask(Source(source), START_SECONDS)
        except Gone as gone:
            self.close()
            raise InvalidRequest(f"it crashed when it was read: {gone.how}", "grader.python") from None
        except TimeoutError:
            self.close()
            raise InvalidRequest(f"it was not read within {START_SECONDS:.0f} seconds", "grader.python") from None
        if not isinstance(said, Ready):
            self.close()
            raise InvalidRequest(f"it {said.what if isinstance(said, Failed) else 'said no word'}", "grader.python")

    def grade(self, samples: Sequence[Sample]) -> list[float]:
        ends = time.monotonic() + self._seconds
        return [self._score(sample, ends) for sample in samples]

    def close(self) -> None:
        self._child.close()

    def _score(self, sample: Sample, ends: float) -> float:
        try:
            left = max(ends - time.monotonic(), 0.001)
            said = self._child.ask(Grade(sample.prompt, sample.answer, sample.record), left)
        except Gone as gone:
            log.warning("a grader crashed: %s\n%s", gone.how, gone.words)
            raise fault(sample, f"crashed: {gone.how}") from None
        except TimeoutError:
            raise fault(sample, f"gave no number: the batch took longer than {self._seconds:g} seconds") from None
        if isinstance(said, Scored):
            return said.score
        raise fault(sample, said.what if isinstance(said, Failed) else "said another word")
