"""What the loop asks of a model that learns; and the answer where one process does it all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from craton.training.methods.deep.checkpoints import Stateful
from craton.training.specification.tuning import TextFit
from craton.training.tuning.batches import LanguageLoss, Row, joined
from craton.training.tuning.memory import told_when_full
from craton.training.tuning.results import rounded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Step = Sequence[Row]
"""Sequences that go through the model at once."""


class Stepping(Protocol):
    """A model, its loss and its optimizer, wherever they are. All calls block."""

    @property
    def optimizer(self) -> Stateful: ...

    def gradients(self, steps: Sequence[Step], update: int) -> float:
        """Left at the weights, of the mean over all learned tokens of the update, which is returned. update: its
        number, from which what is drawn (dropout) is drawn. Raises InvalidRequest when there is too little memory."""
        ...

    def step(self, rate: float) -> None:
        """Clips the gradients and changes the weights by them."""
        ...

    def losses(self, rows: Iterable[Row]) -> float:
        """The sum over all learned tokens; nothing is learned."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Those that learn, by name; to be read at once."""
        ...

    def put(self, weights: Mapping[str, Tensor]) -> None: ...

    def round_off(self) -> None:
        """To the numbers that are published (16 bits), so that what is measured is what is served."""
        ...

    def whole(self) -> Any:
        """The model, to be written. Nothing else can be asked after this."""
        ...


class Alone:
    """See `Stepping`. model: on its device."""

    def __init__(self, model: Any, loss: LanguageLoss, fit: TextFit, seed: int) -> None:
        self._model, self._loss, self._fit, self._seed = model, loss, fit, seed
        self._weights = learning(model)
        self._device = next(iter(self._weights.values())).device
        self.optimizer = optimizer_of(self._weights, fit)

    def gradients(self, steps: Sequence[Step], update: int) -> float:
        draw_anew(self._seed, update, 0)
        self._model.train()
        self.optimizer.zero_grad(set_to_none=True)
        learned, value = counted(steps), 0.0
        with told_when_full():
            for step in steps:
                with autocast(self._device, self._fit):
                    loss = self._loss(joined(step).batch(self._device)) / learned
                loss.backward()  # type: ignore[no-untyped-call]
                value += float(loss.detach())
        return value

    def step(self, rate: float) -> None:
        update(self.optimizer, self._weights, self._fit, rate)

    def losses(self, rows: Iterable[Row]) -> float:
        import torch

        self._model.eval()
        with torch.no_grad(), autocast(self._device, self._fit):
            return sum(float(self._loss(row.batch(self._device))) for row in rows)

    def weights(self) -> dict[str, Tensor]:
        return self._weights

    def put(self, weights: Mapping[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, value in weights.items():
                self._weights[name].copy_(value)

    def round_off(self) -> None:
        rounded(self._model)

    def whole(self) -> Any:
        return self._model


def learning(model: Any) -> dict[str, Tensor]:
    """The weights that learn, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def optimizer_of(weights: Mapping[str, Tensor], fit: TextFit) -> torch.optim.AdamW:
    import torch

    return torch.optim.AdamW(weights.values(), weight_decay=fit.weight_decay)


def update(optimizer: torch.optim.Optimizer, weights: Mapping[str, Tensor], fit: TextFit, rate: float) -> None:
    import torch

    torch.nn.utils.clip_grad_norm_(weights.values(), fit.clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def counted(steps: Iterable[Step]) -> int:
    """Learned tokens."""
    return sum(row.counted for step in steps for row in step)


def draw_anew(seed: int, update: int, rank: int) -> None:
    """So that a run that is gone on with draws what it would have drawn, on whichever device."""
    import torch

    digest = hashlib.blake2b(f"{seed} {update} {rank}".encode(), digest_size=7).digest()
    torch.manual_seed(int.from_bytes(digest, "big"))


def autocast(device: torch.device, fit: TextFit) -> AbstractContextManager[Any]:
    """bfloat16 has the range of float32, so no loss needs to be scaled (Kalamkar et al., 2019)."""
    import torch

    half = fit.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16) if half else nullcontext()
