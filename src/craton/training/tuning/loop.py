"""The loop of the methods that learn to predict tokens. What is learned enters it as a loss of a batch.

AdamW: Loshchilov and Hutter, 2017 (arXiv 1711.05101). Clipping: Pascanu, Mikolov and Bengio, 2013. Early stopping:
Prechelt, 1998. Every token that is learned counts the same in an update, however the update was cut into steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from craton.core.errors import InvalidRequest
from craton.training.methods.deep.checkpoints import Checkpoints, Position, part, restore_optimizer
from craton.training.protocol import Run
from craton.training.specification.tuning import TextFit
from craton.training.tuning.batches import Row, row_of
from craton.training.tuning.corpus import Corpus
from craton.training.tuning.packing import Sequence, plan
from craton.training.tuning.schedules import factor
from craton.training.tuning.stepping import Stepping

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 60.0  # between checkpoints
TIMES = 20.0  # that what one takes must have passed, too
DIVERGED = 3.0  # above the lowest loss so far, in nats, for as many updates as PATIENT
PATIENT = 5
VALIDATIONS = 5  # in a run that has fewer epochs


class Loop:
    """Trains a model in place. Killed at any point, a second one with the same arguments goes on from the last
    checkpoint and comes to the same numbers, bit for bit."""

    def __init__(
        self,
        stepping: Stepping,
        fit: TextFit,
        rate: float,
        seed: int,
        run: Run,
        *,
        settings: str,
    ) -> None:
        """rate: the largest learning rate. settings: tells this run's checkpoint from another's."""
        self._stepping, self._fit, self._rate, self._seed, self._run = stepping, fit, rate, seed, run
        self._saved, self._took = time.monotonic(), 0.0
        self._checkpoints = Checkpoints(run.folder)
        self._position = Position(settings=settings)
        self._best: dict[str, Tensor] | None = None
        self._high = 0
        self._tokens, self._began = 0, time.monotonic()

    def run(self, train: Corpus, validation: Corpus | None) -> Position:
        """Raises InvalidRequest when the loss diverges, and what `Run.check` raises."""
        at, fit = self._position, self._fit
        per_update = fit.batch * fit.accumulate
        first = plan(train.lengths, fit.length, self._seed, 0, packing=fit.packing)
        per_epoch = max(1, math.ceil(len(first) / per_update))
        total = fit.steps or max(1, round(fit.epochs * per_epoch))
        every = max(1, min(per_epoch, math.ceil(total / VALIDATIONS)))
        self._resume()
        at = self._position
        self._run.parameter("updates", total)
        self._began = time.monotonic()
        for update in self._updates(train, at.step, per_update):
            if at.step >= total or self._patience_is_out():
                break
            self._run.check()
            rate = self._rate * factor(fit.schedule, at.step, total, fit.warmup)
            value = self._update(train, update, rate)
            at.step += 1
            self._tell(value, rate, at.step, total, per_epoch)
            if validation is not None and (at.step % every == 0 or at.step == total):
                self._judge(validation, at.step)
            if at.step == total or time.monotonic() - self._saved > max(SECONDS, TIMES * self._took):
                self._save()
        if self._best is not None:
            self._stepping.put(self._best)
        return self._position

    def measure(self, corpus: Corpus) -> float:
        """The mean loss of its learned tokens."""
        count = 0

        def rows() -> Iterator[Row]:
            nonlocal count
            for numbers in _in_rows(corpus, self._fit.length):
                self._run.check()
                row = row_of(corpus, numbers)
                count += row.counted
                yield row

        total = self._stepping.losses(rows())
        return total / max(1, count)

    def _updates(self, train: Corpus, done: int, per_update: int) -> Iterator[list[Sequence]]:
        """Endless, from the one after `done`."""
        fit, number, epoch = self._fit, 0, 0
        while True:
            sequences = plan(train.lengths, fit.length, self._seed, epoch, packing=fit.packing)
            for start in range(0, len(sequences), per_update):
                if number >= done:
                    yield sequences[start : start + per_update]
                number += 1
            epoch += 1

    def _update(self, train: Corpus, sequences: list[Sequence], rate: float) -> float:
        size = self._fit.batch
        rows = [row_of(train, sequence) for sequence in sequences]
        steps = [rows[start : start + size] for start in range(0, len(rows), size)]
        value = self._stepping.gradients(steps, self._position.step)
        self._tokens += sum(row.tokens for row in rows)
        self._stop_if_diverged(value)
        self._stepping.step(rate)
        return value

    def _tell(self, value: float, rate: float, step: int, total: int, per_epoch: int) -> None:
        run, at = self._run, self._position
        lowest = at.loss or value
        at.loss = min(lowest, value)
        run.metric("training_loss", value, step)
        run.metric("learning_rate", rate, step)
        run.metric("epoch", step / per_epoch, step)
        run.metric("tokens_per_second", self._tokens / max(time.monotonic() - self._began, 1e-9), step)
        run.progress(step, total, "updates")
        at.history.append({"step": step, "training_loss": value})

    def _judge(self, validation: Corpus, step: int) -> None:
        at, value = self._position, self.measure(validation)
        self._run.metric("validation_loss", value, step)
        at.history[-1]["validation_loss"] = value
        at.epoch += 1  # validations so far
        if at.best is None or value < at.best:
            at.best, at.best_epoch = value, at.epoch
            if self._fit.patience is not None:
                self._best = {name: weight.detach().clone() for name, weight in self._stepping.weights().items()}

    def _patience_is_out(self) -> bool:
        at, patience = self._position, self._fit.patience
        if patience is None or at.best is None or at.epoch - at.best_epoch < patience:
            return False
        self._run.log(f"no better in {patience} validations: the weights that were best are kept")
        return True

    def _stop_if_diverged(self, value: float) -> None:
        lowest = self._position.loss
        self._high = self._high + 1 if lowest and value > lowest + DIVERGED else 0
        if math.isfinite(value) and self._high < PATIENT:
            return
        word = f"rose from {lowest:.3g} to {value:.3g}" if math.isfinite(value) else f"became {value}"
        raise InvalidRequest(
            f"the loss {word} in update {self._position.step + 1}: it diverges. Try a tenth of {self._rate:g}",
            "train.learning_rate",
        )

    def _save(self) -> None:
        began = time.monotonic()
        stepping = self._stepping
        self._checkpoints.save(self._position, stepping.weights(), self._best, stepping.optimizer, {})
        self._saved, self._took = time.monotonic(), time.monotonic() - began

    def _resume(self) -> None:
        found = self._checkpoints.load(self._position.settings)
        if found is None:
            return
        self._position, tensors, groups = found
        self._stepping.put(part(tensors, "model"))
        self._best = part(tensors, "best") or None
        restore_optimizer(self._stepping.optimizer, tensors, groups)
        self._run.log(f"goes on after update {self._position.step}")
        for line in self._position.history:  # what the killed process may not have written
            for name in ("training_loss", "validation_loss"):
                if name in line:
                    self._run.metric(name, line[name], int(line["step"]))


def _in_rows(corpus: Corpus, length: int) -> Iterator[list[int]]:
    """Its samples in their order, as many as a sequence holds at once."""
    held: list[int] = []
    size = 0
    for number, tokens in enumerate(corpus.lengths):
        if held and size + int(tokens) > length:
            yield held
            held, size = [], 0
        held.append(number)
        size += int(tokens)
    if held:
        yield held
