"""What the process that leads tells the others. All hear all of it, in the same order, and do it together with it."""

from __future__ import annotations

from typing import Literal

from craton.children.frames import Frame
from craton.training.specification.tuning import Lora, TextFit
from craton.training.tuning.batches import Row

What = Literal["weights", "moments"]
"""The weights that learn, or what the optimizer keeps of each."""


class Begin(Frame, frozen=True, tag=1):
    """The model, without its weights. config: as transformers has it, in JSON. lora: None where all weights learn."""

    config: bytes
    lora: Lora | None
    fit: TextFit
    seed: int


class Share(Frame, frozen=True):
    """A process's part of a step. counts: False for one that has none, and goes along with another's: parts of the
    weights are exchanged in every pass."""

    row: Row
    counts: bool


class Learn(Frame, frozen=True, tag=2):
    """An update's gradients. steps: of each, the share of each process. learned: tokens of them all."""

    steps: list[list[Share]]
    learned: int
    update: int


class Change(Frame, frozen=True, tag=3):
    """The weights are changed by the gradients."""

    rate: float


class Measure(Frame, frozen=True, tag=4):
    """The loss of the share of each process."""

    shares: list[Share]


class Gather(Frame, frozen=True, tag=5):
    """The leader is given whole tensors."""

    what: What


class Scatter(Frame, frozen=True, tag=6):
    """The leader gives each its part of them. done: steps that the optimizer has made for each weight; 0 for one of
    which it keeps nothing yet."""

    what: What
    done: list[int]


class RoundOff(Frame, frozen=True, tag=7):
    """To 16 bits."""


class End(Frame, frozen=True, tag=8):
    """Nothing more is wanted."""


Told = Begin | Learn | Change | Measure | Gather | Scatter | RoundOff | End
