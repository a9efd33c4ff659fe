"""What a batch needs of those who know a dialect's words and the way to the models."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from craton.batch.values import Counts
from craton.core.errors import CratonError


class Record(Struct, frozen=True):
    """One line of an input. number: from 0 over all inputs of its batch. line: its number in its object. data: None for
    a line that is too long. tries: how often it was asked already, in this process and in earlier ones."""

    batch: str
    number: int
    line: int
    data: bytes | None
    tries: int = 0


class Answered(Struct, frozen=True):
    """line: what the output says of the record, without a line's end."""

    line: bytes
    ok: bool
    input_tokens: int = 0
    output_tokens: int = 0


class Asked(Protocol):
    """Made for one batch: its model, its caller, its dialect's words."""

    async def start(self) -> int:
        """The model is loaded when this returns: how many records may be asked at once. Raises what loading does."""
        ...

    async def answer(self, record: Record) -> Answered:
        """Raises CratonError: for a record that cannot be read as for one that the model cannot answer."""
        ...

    def output(self, key: str) -> str:
        """The name of what is made of the input with this name."""
        ...


class Answering(Asked, Protocol):
    """The same for records of which some may fail."""

    def refuse(self, record: Record, error: CratonError) -> Answered: ...

    def summary(self, counts: Counts) -> tuple[str, bytes]:
        """An object that is written beside the outputs: its name and its bytes."""
        ...


class TimedOut(CratonError):
    """The batch's time was over before the record was answered."""

    def __str__(self) -> str:
        return "The batch's time was over before this record was answered."


class ChangedInput(CratonError):
    """An input is not the one any more that was counted when the batch began."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri

    def __str__(self) -> str:
        return f"{self.uri} changed while the batch ran. Start a new one."
