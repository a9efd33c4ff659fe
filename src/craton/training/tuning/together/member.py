"""What each process does of what is told: the leader and the helpers alike, at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from craton.training.specification.tuning import TextFit
from craton.training.tuning.batches import LanguageLoss, Row
from craton.training.tuning.memory import told_when_full
from craton.training.tuning.results import rounded
from craton.training.tuning.stepping import autocast, draw_anew, learning, optimizer_of, update
from craton.training.tuning.together.frames import Change, Gather, Learn, Measure, RoundOff, Scatter, Told
from craton.training.tuning.together.group import Group
from craton.training.tuning.together.sharding import named, scattered, whole

if TYPE_CHECKING:
    from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each weight."""


class Member:
    """model: sharded. Everything here is done by all members at once, and raises Scattered when one is lost."""

    def __init__(self, model: Any, loss: LanguageLoss, fit: TextFit, seed: int, group: Group) -> None:
        self._model, self._loss, self._fit, self._seed, self._group = model, loss, fit, seed, group
        self.weights = named(learning(model))
        self.optimizer = optimizer_of(self.weights, fit)

    def learn(self, told: Learn) -> float:
        """The mean loss of the update's learned tokens."""
        draw_anew(self._seed, told.update, self._group.rank)
        self._model.train()
        self.optimizer.zero_grad(set_to_none=True)
        value = 0.0
        with told_when_full():
            for shares in told.steps:
                mine = shares[self._group.rank]
                with autocast(self._group.device, self._fit):
                    loss = self._loss_of(mine.row) * (mine.counts / told.learned)
                mean = loss * self._group.size  # their sum is wanted; torch takes the processes' mean
                mean.backward()  # type: ignore[no-untyped-call]
                value += float(loss.detach())
        return self._group.sum(value)

    def change(self, told: Change) -> None:
        update(self.optimizer, self.weights, self._fit, told.rate)

    def measure(self, told: Measure) -> float:
        import torch

        self._model.eval()
        mine = told.shares[self._group.rank]
        with torch.no_grad(), autocast(self._group.device, self._fit):
            value = float(self._loss_of(mine.row))
        return self._group.sum(value if mine.counts else 0.0)

    def gather(self, told: Gather) -> Iterator[dict[str, Tensor]]:
        """Of each weight in its order, whole tensors by name."""
        for weight in self.weights.values():
            if told.what == "weights":
                yield {"weight": whole(weight)}
            else:
                state = self.optimizer.state.get(weight, {})
                yield {name: whole(state[name]) for name in MOMENTS if name in state}

    def scatter(self, told: Scatter, values: Sequence[dict[str, Tensor]] | None) -> None:
        """values: the leader's, as `gather` gives them."""
        import torch

        self._parted()
        for number, weight in enumerate(self.weights.values()):
            given: Mapping[str, Tensor | None] = {} if values is None else values[number]
            if told.what == "weights":
                with torch.no_grad():
                    weight.copy_(scattered(given.get("weight"), weight))
            elif told.done[number]:
                parts = {name: scattered(given.get(name), weight) for name in MOMENTS}
                self.optimizer.state[weight] = {"step": torch.tensor(float(told.done[number])), **parts}

    def done(self) -> list[int]:
        """Steps that the optimizer has made for each weight."""
        states = (self.optimizer.state.get(weight) for weight in self.weights.values())
        return [int(state["step"]) if state else 0 for state in states]

    def round_off(self) -> None:
        self._parted()
        rounded(self._model)

    def do(self, told: Told) -> None:
        """A helper's."""
        match told:
            case Learn():
                self.learn(told)
            case Change():
                self.change(told)
            case Measure():
                self.measure(told)
            case Gather():
                for _ in self.gather(told):
                    pass  # they are the leader's
            case Scatter():
                self.scatter(told, None)
            case RoundOff():
                self.round_off()
            case _:
                raise AssertionError(told)

    def _parted(self) -> None:
        """After a pass some weights may be here whole, and would go on as they were when their parts are changed."""
        from torch.distributed.fsdp import FSDPModule

        for module in self._model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def _loss_of(self, row: Row) -> Tensor:
        return self._loss(row.batch(self._group.device))
