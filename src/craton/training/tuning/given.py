"""What a tuning method is given beside its specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from craton.training.tuning.records import Record

Read = Callable[[], Iterator[Record]]
"""The records, from their beginning, as often as it takes. Blocks."""


@dataclass(frozen=True, slots=True)
class Given:
    """validation: None where the training's own share is held out. base: the model's name with its revision in full,
    "" for none."""

    train: Read
    validation: Read | None
    base: str
