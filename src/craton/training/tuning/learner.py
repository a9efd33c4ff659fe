"""What the methods share whose loop is TRL's: the model that learns, its trainer, and what that tells.

TRL's trainers are Hugging Face's: they write a pickle of their arguments beside each checkpoint and a page about the
model, neither of which is wanted here. A checkpoint counts when its last file, written by us, is there.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.errors import InvalidRequest
from craton.training.protocol import Run
from craton.training.specification.tuning import TextFit, Tuned
from craton.training.tuning.base import Base, load, open_base
from craton.training.tuning.given import Given
from craton.training.tuning.lora import adapter_size, config_of
from craton.training.tuning.memory import Shared, check_weights
from craton.training.tuning.precision import device_of, settled
from craton.training.tuning.results import write_adapter, write_whole
from craton.training.tuning.schedules import factor
from craton.training.tuning.trial import Request, try_out

if TYPE_CHECKING:
    from datasets import Dataset

SECONDS = 60.0  # between checkpoints
TIMES = 20.0  # and at least so often what one takes
WHOLE = "whole"  # a checkpoint's last file
PREFIX = "checkpoint-"


@dataclass(frozen=True, slots=True)
class Learner:
    """adapter: PEFT's configuration, None where all weights learn."""

    base: Base
    model: Any
    tokenizer: Any
    fit: TextFit
    adapter: Any | None

    @property
    def context(self) -> int:
        """Tokens that the model can place."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 20)


def begin(spec: Tuned, given: Given, run: Run) -> Learner:
    """Raises what `open_base` does, and InvalidRequest where memory does not do."""
    import torch

    base = open_base(run, given.base)
    size, lora = base.parameters, spec.tune == "lora"
    check_weights(size, adapter_size(size) if lora else size, run, Shared(gpu=device_of().type == "cuda"))
    run.log(f"loading {spec.base}: {size:,} weights, stored as {base.stored}")
    model, tokenizer = load(base)
    torch.manual_seed(spec.seed)
    fit = settled(spec.train)
    run.parameter("precision", fit.precision)
    return Learner(base, model, tokenizer, fit, config_of(model, spec.lora) if lora else None)


def arguments(spec: Tuned, learner: Learner, rate: float, folder: Path) -> dict[str, Any]:
    """What all configurations of TRL take."""
    fit, cpu = learner.fit, device_of().type == "cpu"
    return {
        "output_dir": str(folder),
        "num_train_epochs": fit.epochs,
        "max_steps": fit.steps or -1,
        "per_device_train_batch_size": fit.batch,
        "gradient_accumulation_steps": fit.accumulate,
        "learning_rate": fit.learning_rate or rate,
        "lr_scheduler_type": fit.schedule,
        "warmup_steps": fit.warmup,
        "weight_decay": fit.weight_decay,
        "max_grad_norm": fit.clip,
        "seed": spec.seed,
        "bf16": fit.precision == "bfloat16",
        "use_cpu": cpu,
        "dataloader_pin_memory": not cpu,
        "gradient_checkpointing": fit.checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # when it is time, as `told` says
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
    }


def plain(trainer: type[Any]) -> type[Any]:
    """The same trainer; what it writes is weights alone, and its rate changes as it does in our loop (where the first
    update already teaches something: transformers' has the rate nought)."""
    from torch.optim.lr_scheduler import LambdaLR

    class Plain(trainer):  # type: ignore[misc]
        lr_scheduler: Any

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            if self.lr_scheduler is None:
                schedule, warmup = self.args.lr_scheduler_type.value, self.args.warmup_steps
                self.lr_scheduler = LambdaLR(
                    optimizer or self.optimizer, lambda step: factor(schedule, step, num_training_steps, warmup)
                )
                self._created_lr_scheduler = True
            return self.lr_scheduler

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            self.model.save_pretrained(output_dir, state_dict=state_dict)

        def create_model_card(self, *_: Any, **__: Any) -> None: ...

        def _send_telemetry(self) -> None: ...

    return Plain


def quiet(trainer: Any) -> Any:
    """The same trainer, which prints nothing: what it has to say is told to the run."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


def told(run: Run, names: Mapping[str, str], seconds: float = SECONDS) -> Any:
    """A callback that tells the run what happens. names: what TRL logs -> what the run calls it."""
    from transformers import TrainerCallback

    class Told(TrainerCallback):
        def __init__(self) -> None:
            self._saved, self._took = time.monotonic(), 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            run.parameter("updates", state.max_steps)
            self._saved = time.monotonic()
            for line in state.log_history:  # what a killed process may not have written
                self._tell(line, int(line["step"]))

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            run.check()

        def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            run.check()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            run.progress(state.global_step, state.max_steps, "updates")
            due = time.monotonic() - self._saved > max(seconds, TIMES * self._took)
            control.should_save = due or state.global_step >= state.max_steps
            self._saving = time.monotonic()

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (Path(args.output_dir) / f"{PREFIX}{state.global_step}" / WHOLE).touch()
            self._saved = time.monotonic()
            self._took = self._saved - self._saving

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            loss = (logs or {}).get("loss")
            if loss is not None and not math.isfinite(loss):
                raise InvalidRequest(
                    f"the loss became {loss} in update {state.global_step}: it diverges. Try a tenth of the rate",
                    "train.learning_rate",
                )
            self._tell(logs or {}, state.global_step)

        def _tell(self, line: Mapping[str, Any], step: int) -> None:
            for theirs, ours in names.items():
                if line.get(theirs) is not None:
                    run.metric(ours, float(line[theirs]), step)

    return Told()


def learn(trainer: Any, folder: Path) -> None:
    """From the beginning, or from the newest checkpoint in the folder. One of a run that came to its last update is
    only read: transformers would make another one."""
    from transformers import TrainerState

    checkpoint = newest(folder)
    if checkpoint is not None:
        state = TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))
        if state.global_step >= state.max_steps:
            trainer._load_from_checkpoint(checkpoint)
            trainer.state = state
            trainer.callback_handler.on_train_begin(trainer.args, state, trainer.control)
            return
    trainer.train(resume_from_checkpoint=checkpoint)


def newest(folder: Path) -> str | None:
    """The checkpoint that is whole and newest, for the trainer to go on from; half ones are removed."""
    found: dict[int, Path] = {}
    for path in folder.glob(f"{PREFIX}*"):
        if (path / WHOLE).is_file():
            found[int(path.name.removeprefix(PREFIX))] = path
        else:
            shutil.rmtree(path)
    return str(found[max(found)]) if found else None


def rows(values: Iterable[Mapping[str, Any]], features: Mapping[str, Any], path: Path) -> Dataset:
    """In a file that is mapped into memory. features: the columns, as `datasets` has them."""
    from datasets import Dataset, Features
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(path=str(path), features=Features(features)) as writer:
        for value in values:
            writer.write(dict(value))
        writer.finalize()
    return Dataset.from_file(str(path))


def split(everything: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Without, and only, a share of the rows, drawn at random. At least one each, where there are two."""
    import numpy as np

    count = min(len(everything) - 1, max(1, round(share * len(everything)))) if share else 0
    order = np.random.default_rng(seed).permutation(len(everything))
    kept, held = (sorted(part.tolist()) for part in np.split(order, [len(everything) - count]))
    return everything.select(kept), everything.select(held)


def published(
    learner: Learner,
    model: Any,
    base: str,
    samples: list[tuple[list[int], list[int]]],
    loss: Callable[[], float],
    run: Run,
) -> Path:
    """The folder of the result, loaded again in a fresh process. samples: as `trial.Request` has them; loss: of them,
    measured here. Raises Damaged."""
    import torch

    folder = Path(tempfile.mkdtemp(prefix="craton-tuned-"))
    expected = loss()
    if learner.adapter is not None:
        write_adapter(model, folder, base)
    else:
        write_whole(model, learner.tokenizer, folder)
    over = str(learner.base.folder) if learner.adapter is not None else ""
    rough = device_of().type != "cpu" or learner.fit.precision != "float32"
    answer = try_out(Request(str(folder), over, samples, torch.get_num_threads()), expected, rough=rough)
    run.log(f"loaded again in a fresh process: the same loss ({answer.loss:.4f}) on {len(samples)} samples")
    return folder
