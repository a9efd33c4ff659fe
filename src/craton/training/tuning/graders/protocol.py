"""What a grader is given and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

from craton.core.chat import Json
from craton.core.errors import InvalidRequest

SHOWN = 80  # characters of what a grader said, in an error


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer to be scored. place: of its record, for errors ("line 12"). prompt: as the record has it, a text or
    messages. record: all that stands in it."""

    place: str
    prompt: str | list[Json]
    answer: str
    record: Json


class Grading(Protocol):
    """Calls block, one at a time."""

    def grade(self, samples: Sequence[Sample]) -> list[float]:
        """A finite number for each. Raises InvalidRequest that names the record and what the grader did with it."""
        ...

    def close(self) -> None: ...


def as_score(found: Any) -> float:
    """Raises ValueError, whose words end a sentence, for what is no finite number."""
    if not isinstance(found, Real):
        raise ValueError(f"gave {shown(found)}, which is no number")
    try:
        value = float(found)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"gave {value}, and a reward is a finite number")
    return value


def fault(sample: Sample, what: str) -> InvalidRequest:
    return InvalidRequest(f"for the record at {sample.place} it {what}", "grader")


def shown(found: Any) -> str:
    said = repr(found)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."
