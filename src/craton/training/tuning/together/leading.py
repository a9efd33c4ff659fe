"""The leader's side: the model that the loop steps is in several processes, and gives the same numbers.

Each step's sequences are shared out so that all have about as many tokens. Gradients, clipping and the optimizer are
exact; dropout alone is drawn by each process by itself. A checkpoint is the one that a single process writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from craton.training.specification.tuning import Lora, TextFit
from craton.training.tuning.attention import Segments
from craton.training.tuning.batches import LanguageLoss, Row, joined
from craton.training.tuning.stepping import Step, counted
from craton.training.tuning.together.frames import (
    Begin,
    Change,
    End,
    Gather,
    Learn,
    Measure,
    RoundOff,
    Scatter,
    Share,
    What,
)
from craton.training.tuning.together.group import Group, scattering
from craton.training.tuning.together.member import MOMENTS, Member
from craton.training.tuning.together.sharding import described, filled, hollow, sharded

if TYPE_CHECKING:
    from torch import Tensor

    Values = Sequence[dict[str, Tensor]]
    """Of each weight in its order: whole tensors by name."""


class Together:
    """See `stepping.Stepping`. Everything raises Scattered when a helper is lost."""

    def __init__(
        self, model: Any, segments: Segments, fit: TextFit, seed: int, group: Group, lora: Lora | None
    ) -> None:
        """model: with its weights, adapted where `lora` says how; it is used up. Raises Unsupported."""
        self._group, self._lora = group, lora
        self._config, self._generation = described(model), model.generation_config
        self._group.tell(Begin(self._config, lora, fit, seed))
        with scattering():
            model = sharded(model, fit, group)
            self._member = Member(model, LanguageLoss(model, segments), fit, seed, group)

    def gradients(self, steps: Sequence[Step], update: int) -> float:
        told = Learn([share_out(step, self._group.size) for step in steps], counted(steps), update)
        self._group.tell(told)
        with scattering():
            return self._member.learn(told)

    def step(self, rate: float) -> None:
        self._group.tell(Change(rate))
        with scattering():
            self._member.change(Change(rate))

    def losses(self, rows: Iterable[Row]) -> float:
        total, left = 0.0, iter(rows)
        while some := [*islice(left, self._group.size)]:
            idle = [Share(some[0], counts=False)] * (self._group.size - len(some))
            told = Measure([*(Share(row, counts=True) for row in some), *idle])
            self._group.tell(told)
            with scattering():
                total += self._member.measure(told)
        return total

    def weights(self) -> dict[str, Tensor]:
        values = self._gathered("weights")
        return {name: value["weight"] for name, value in zip(self._member.weights, values, strict=True)}

    def put(self, weights: Mapping[str, Tensor]) -> None:
        self._give("weights", [{"weight": weights[name]} for name in self._member.weights], [])

    def round_off(self) -> None:
        self._group.tell(RoundOff())
        self._member.round_off()

    def whole(self) -> Any:
        model = filled(hollow(self._config, self._lora), self.weights())
        model.generation_config = self._generation
        self._group.tell(End())
        return model

    @property
    def optimizer(self) -> Together:
        """It stands in for one, whose state is whole."""
        return self

    def state_dict(self) -> dict[str, Any]:
        import torch

        done = self._member.done()
        moments = self._gathered("moments")
        state = {
            number: {"step": torch.tensor(float(steps)), **values}
            for number, (steps, values) in enumerate(zip(done, moments, strict=True))
            if steps
        }
        return {"state": state, "param_groups": self._member.optimizer.state_dict()["param_groups"]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = state_dict["state"]
        numbers = range(len(self._member.weights))
        done = [int(state[number]["step"]) if number in state else 0 for number in numbers]
        self._give("moments", [{name: state.get(number, {}).get(name) for name in MOMENTS} for number in numbers], done)

    def _gathered(self, what: What) -> Values:
        self._group.tell(Gather(what))
        with scattering():
            return [*self._member.gather(Gather(what))]

    def _give(self, what: What, values: Values, done: list[int]) -> None:
        told = Scatter(what, done)
        self._group.tell(told)
        with scattering():
            self._member.scatter(told, values)


def share_out(step: Step, size: int) -> list[Share]:
    """The longest first, each to the process that has the fewest tokens."""
    parts: list[list[Row]] = [[] for _ in range(size)]
    for row in sorted(step, key=lambda row: -row.tokens):
        min(parts, key=lambda part: sum(one.tokens for one in part)).append(row)
    shortest = min(step, key=lambda row: row.tokens)
    return [Share(joined(part), counts=True) if part else Share(shortest, counts=False) for part in parts]
