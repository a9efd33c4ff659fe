"""The loop. A method enters it as a loss of some rows and, where rows were held out, a validation; nothing copies it.

AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", 2017 (arXiv 1711.05101). Clipping: Pascanu,
Mikolov and Bengio, 2013. Early stopping: Prechelt, 1998; the weights of the best epoch are the result.
Several processes: `together`. Left out: schedules of the learning rate, gradient accumulation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.training.methods.deep.checkpoints import Checkpoints, Position, part, restore_optimizer
from craton.training.methods.deep.together import Scattered, Together
from craton.training.protocol import Meeting, Run
from craton.training.specification.methods import Fit

if TYPE_CHECKING:
    from torch import Tensor, nn

    Loss = Callable[[Tensor], Tensor]
    """Numbers of training rows -> their mean loss."""

    Validate = Callable[[], Mapping[str, float]]
    """Figures of the held-out rows; "loss" is the one that must fall."""

    Groups = Callable[[int], list[dict[str, Any]]]
    """Epoch -> the optimizer's groups of parameters, all of them, in one order; a rate of 0 freezes a group."""

SECONDS = 60.0  # between checkpoints within an epoch
DIVERGED = 1000.0  # times the lowest loss so far


@dataclass(frozen=True, slots=True)
class Fitted:
    """best_epoch: whose weights the module has now; history: a line of figures for each epoch, from 1."""

    best_epoch: int
    history: list[dict[str, float]]


class Loop:
    """Trains a module in place. Killed at any point, a second one with the same arguments goes on from the last
    checkpoint and comes to the same numbers, bit for bit."""

    def __init__(
        self,
        module: nn.Module,
        rows: int,
        fit: Fit,
        seed: int,
        run: Run,
        *,
        loss: Loss,
        validate: Validate | None = None,
        groups: Groups | None = None,
        settings: str = "",
        meeting: Meeting | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """rows: to learn from. seed: of their order; torch's own generator is the caller's to seed before the module is
        made. settings: tells this run's checkpoint from another's. meeting: of processes that share each batch."""
        import torch

        self._module, self._rows, self._fit, self._run = module, rows, fit, run
        self._loss, self._validate, self._seconds = loss, validate, seconds
        self._meeting, self._seed = meeting, seed
        self._together: Together | None = None
        self._groups = groups or (lambda _: [{"params": list(module.parameters()), "lr": fit.learning_rate}])
        self._optimizer = torch.optim.AdamW(self._groups(0), lr=fit.learning_rate, weight_decay=fit.weight_decay)
        self._order = torch.Generator().manual_seed(seed)
        self._checkpoints = Checkpoints(run.folder)
        self._position = Position(settings=settings)
        self._best: dict[str, Tensor] | None = None
        self._epoch_began = self._order.get_state()
        self._saved = time.monotonic()

    def run(self) -> Fitted:
        """Raises InvalidRequest when the loss diverges, and what `Run.check` raises; Helped in a helper."""
        if self._meeting is not None:
            self._meet(self._meeting)
        self._resume()
        at = self._position
        while at.epoch < self._fit.epochs and not self._patience_is_out():
            self._epoch()
            self._judge()
            self._save()
        if self._together is not None:
            self._together.close()
        if self._best is not None:
            self._module.load_state_dict(self._best)
        return Fitted(at.best_epoch or at.epoch, at.history)

    def _epoch(self) -> None:
        at = self._position
        self._module.train()
        for group, wanted in zip(self._optimizer.param_groups, self._groups(at.epoch), strict=True):
            group["lr"] = wanted.get("lr", self._fit.learning_rate)
        for rows in self._batches():
            self._run.check()
            self._optimizer.zero_grad()
            value = self._gradients(rows)
            self._stop_if_diverged(value)
            self._clip()
            self._optimizer.step()
            at.loss += value * len(rows)
            at.step += 1
            if time.monotonic() - self._saved > self._seconds:
                self._save()

    def _gradients(self, rows: Tensor) -> float:
        """Left at the weights; the mean loss of these rows."""
        if self._together is not None:
            at = self._position
            number = at.epoch * math.ceil(self._rows / self._fit.batch) + at.step
            try:
                return self._together.gradients(rows, number, self._loss_of)
            except Scattered:
                self._run.warn("A helper was lost: the run goes on alone.")
                self._together = None
                self._optimizer.zero_grad()
        loss = self._loss_of(rows)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _loss_of(self, rows: Tensor) -> Tensor:
        with self._precision():
            return self._loss(rows)

    def _meet(self, meeting: Meeting) -> None:
        try:
            self._together = Together(meeting, self._module, self._fit.batch, self._seed)
        except Scattered:
            self._run.warn("A helper was lost before it could help: the run goes on alone.")
            return
        if meeting.rank:
            self._together.help(self._loss_of)
        self._run.log(f"each batch is shared by {meeting.size} processes")

    def _batches(self) -> Iterator[Tensor]:
        """The rows in a new order each epoch; after a resume, those that are left of it."""
        import torch

        self._epoch_began = self._order.get_state()
        order = torch.randperm(self._rows, generator=self._order)
        start = self._position.step * self._fit.batch
        for begin in range(start, self._rows, self._fit.batch):
            yield order[begin : begin + self._fit.batch]

    def _judge(self) -> None:
        """The end of an epoch: its figures, and whether it is the best so far."""
        import torch

        at = self._position
        line = {"train_loss": at.loss / self._rows}
        if self._validate is not None:
            self._module.eval()
            with torch.no_grad(), self._precision():
                line |= {f"validation_{name}": value for name, value in self._validate().items()}
        at.epoch, at.step, at.loss = at.epoch + 1, 0, 0.0
        at.history.append(line)
        for name, value in line.items():
            self._run.metric(name, value, at.epoch)
        self._run.progress(at.epoch, self._fit.epochs, "epochs")
        judged = line.get("validation_loss")
        if judged is not None and (at.best is None or judged < at.best):
            at.best, at.best_epoch = judged, at.epoch
            self._best = {name: value.detach().clone() for name, value in self._module.state_dict().items()}

    def _patience_is_out(self) -> bool:
        at, patience = self._position, self._fit.patience
        if patience is None or at.best is None or at.epoch - at.best_epoch < patience:
            return False
        self._run.log(f"no better for {patience} epochs: the weights of epoch {at.best_epoch} are kept")
        return True

    def _stop_if_diverged(self, value: float) -> None:
        at = self._position
        lowest = min((line["train_loss"] for line in at.history), default=None)
        if math.isfinite(value) and (lowest is None or value < DIVERGED * (lowest + 1.0)):
            return
        word = f"rose to {value:.3g}" if math.isfinite(value) else f"became {value}"
        raise InvalidRequest(
            f"the loss {word} in epoch {at.epoch + 1}, batch {at.step + 1}: it diverges. Try a tenth of "
            f"{self._fit.learning_rate:g}"
            + (", and clip gradients (train.clip: 1.0)" if self._fit.clip is None else ""),
            "train.learning_rate",
        )

    def _clip(self) -> None:
        import torch

        if self._fit.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._module.parameters(), self._fit.clip)

    def _precision(self) -> AbstractContextManager[Any]:
        """bfloat16 has the range of float32, so no loss needs to be scaled (Kalamkar et al., 2019)."""
        import torch

        half = self._fit.precision == "bfloat16"
        return torch.autocast("cpu", dtype=torch.bfloat16) if half else nullcontext()

    def _save(self) -> None:
        """At the end of an epoch the order's state is the next one's beginning."""
        import torch

        order = self._epoch_began if self._position.step else self._order.get_state()
        generators = {"torch": torch.get_rng_state(), "order": order}
        self._checkpoints.save(self._position, self._module.state_dict(), self._best, self._optimizer, generators)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        import torch

        found = self._checkpoints.load(self._position.settings)
        if found is None:
            return
        self._position, tensors, groups = found
        self._module.load_state_dict(part(tensors, "model"))
        self._best = part(tensors, "best") or None
        restore_optimizer(self._optimizer, tensors, groups)
        generators = part(tensors, "random")
        torch.set_rng_state(generators["torch"])
        self._order.set_state(generators["order"])
        self._run.log(f"goes on in epoch {self._position.epoch + 1} at batch {self._position.step + 1}")
        for epoch, line in enumerate(self._position.history, 1):  # what the killed process may not have written
            for name, value in line.items():
                self._run.metric(name, value, epoch)
