"""LoRA on the starter model by Craton's loop, against Hugging Face's Trainer and TRL's SFTTrainer as they are.

    python -m bench tuning [--updates 5] [--batch 8] [--against trainer trl trl-plain]

The same base (dequantised once), adapter, samples, batches in the same order, rate and seed; each side in a process of
its own. The other two are given tokens and labels of the answers alone, so that all three learn the same: their losses
are printed beside each other and must agree. TRL computes the values between layers again on the way back unless it
is told not to; trl-plain is told. Tokens (without padding) a second are those of the updates after the
first; a CPU-second does not count what other processes take. Memory is the process's peak.

Goals: at least 1.3 times the tokens a second of both, less memory, the same losses.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from craton.training.specification.tuning import Lora, TextFit
from craton.training.tuning.given import Given

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "build" / "starters" / "SmolLM2-135M-Instruct.Q4_1.gguf"
LENGTH, RATE, RIVALS = 512, 2e-4, ("trainer", "trl", "trl-plain")


Moment = tuple[float, float]
"""Seconds of the clock, and of the CPUs that this process had."""


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench tuning", description=__doc__)
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--against", nargs="+", choices=RIVALS, default=RIVALS)
    parser.add_argument("--side", choices=("craton", *RIVALS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.side:
        print(json.dumps(_side(arguments.side, arguments.folder, arguments.updates, arguments.batch)))
        return
    with tempfile.TemporaryDirectory(prefix="craton-bench-") as name:
        folder = Path(name)
        _prepare(folder)
        found = {
            side: _measured(side, folder, arguments.updates, arguments.batch) for side in ("craton", *arguments.against)
        }
    for side, figures in found.items():
        losses = " ".join(f"{loss:.3f}" for loss in figures["losses"])
        rates = f"{figures['rate']:7.1f} tokens/s {figures['cpu_rate']:7.1f} tokens/CPU-s"
        print(f"{side:9} {rates} {figures['peak_mb']:6,} MB  losses {losses}")
    ours = found["craton"]
    for side in arguments.against:
        other = found[side]
        apart = max(abs(one - two) for one, two in zip(ours["losses"], other["losses"], strict=True))
        print(
            f"craton / {side}: {ours['rate'] / other['rate']:.2f} of its speed, "
            f"{ours['cpu_rate'] / other['cpu_rate']:.2f} of its tokens a CPU-second, "
            f"{ours['peak_mb'] / other['peak_mb']:.2f} of its memory; losses at most {apart:.4f} apart"
        )


def _prepare(folder: Path) -> None:
    """The base as safetensors, so that no side's time or memory is that of dequantising; the records."""
    (folder / "gguf").mkdir()
    (folder / "gguf" / STARTER.name).symlink_to(STARTER)
    code = (
        "import sys; from pathlib import Path; from craton.training.tuning.base import load, look_at\n"
        "model, tokenizer = load(look_at(Path(sys.argv[1]), 'starter'))\n"
        "model.save_pretrained(sys.argv[2]); tokenizer.save_pretrained(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, folder / "gguf", folder / "base"], check=True, env=_environment())
    script = ROOT / "examples" / "python_support.py"
    subprocess.run([sys.executable, script, folder / "records.jsonl"], check=True, stdout=subprocess.DEVNULL)


def _measured(side: str, folder: Path, updates: int, batch: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench", "tuning", "--side", side, "--folder", str(folder)]
    command += ["--updates", str(updates), "--batch", str(batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=_environment(), cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment() -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {**os.environ, **offline}


def _side(side: str, folder: Path, updates: int, batch: int) -> dict[str, Any]:
    import torch

    from craton.training.tuning.base import load, look_at
    from craton.training.tuning.conversations import read_conversation
    from craton.training.tuning.corpus import gather
    from craton.training.tuning.packing import plan
    from craton.training.tuning.records import blocks_of, good, read_lines
    from craton.training.tuning.sampling import Sampler

    torch.set_num_threads(2)
    torch.manual_seed(0)
    model, tokenizer = load(look_at(folder / "base", "starter"))
    given = Given(lambda: read_lines(blocks_of(folder / "records.jsonl")), None, "")
    sampler = Sampler(tokenizer)
    samples = good(given.train(), lambda record: sampler.conversation(read_conversation(record)))
    place = folder / f"tokens-{side}"
    place.mkdir()
    corpus = gather(samples, place, "train", LENGTH)
    if side == "craton":
        losses, seconds = _craton(model, corpus, folder / "run", updates, batch)
    else:
        order = [one[0] for one in plan(corpus.lengths, LENGTH, 0, 0, packing=False)]
        rows = []
        for number in order[: updates * batch]:
            ids, learned = corpus.sample(number)
            mine = [bool(one) for one in learned]
            labels = [int(token) if one else -100 for token, one in zip(ids, mine, strict=True)]
            rows.append({"input_ids": [int(token) for token in ids], "labels": labels, "completion_mask": mine})
        rival: Any = {"trainer": _trainer, "trl": _trl, "trl-plain": partial(_trl, gradient_checkpointing=False)}[side]
        losses, seconds = rival(model, tokenizer, rows, folder / side, batch)
    order = [one[0] for one in plan(corpus.lengths, LENGTH, 0, 0, packing=False)]
    tokens = sum(int(corpus.lengths[number]) for number in order[batch : updates * batch])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"losses": losses, "rate": tokens / seconds[0], "cpu_rate": tokens / seconds[1], "peak_mb": peak}


def _craton(model: Any, corpus: Any, folder: Path, updates: int, batch: int) -> tuple[list[float], Moment]:
    from craton.training.tuning.attention import Segments
    from craton.training.tuning.batches import LanguageLoss
    from craton.training.tuning.loop import Loop
    from craton.training.tuning.lora import adapted
    from craton.training.tuning.stepping import Alone
    from tests.training.memory import MemoryRun

    class Timed(MemoryRun):
        def metric(self, name: str, value: float, step: int | None = None) -> None:
            super().metric(name, value, step)
            times.append(_now()) if name == "training_loss" else None

    times: list[Moment] = []
    folder.mkdir()
    segments = Segments()
    segments.attach(model)
    model = adapted(model, Lora())
    fit = TextFit(steps=updates, batch=batch, length=LENGTH, packing=False, warmup=0.0, schedule="constant")
    run = Timed(folder)
    stepping = Alone(model, LanguageLoss(model, segments), fit, 0)
    Loop(stepping, fit, RATE, 0, run, settings="bench").run(corpus, None)
    return [value for _, value in run.curves["training_loss"]], _between(times)


def _now() -> Moment:
    return time.monotonic(), time.process_time()


def _between(times: list[Moment]) -> Moment:
    return times[-1][0] - times[0][0], times[-1][1] - times[0][1]


def _peft_config() -> Any:
    from peft import LoraConfig

    lora = Lora()
    return LoraConfig(r=lora.rank, lora_alpha=2 * lora.rank, target_modules=list(lora.modules), task_type="CAUSAL_LM")


def _options(folder: Path, batch: int) -> dict[str, Any]:
    """What makes them learn the same; all else stays as they have it."""
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": batch,
        "num_train_epochs": 1,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "seed": 0,
        "bf16": False,
        "use_cpu": True,
        "disable_tqdm": True,
    }


def _trainer(model: Any, tokenizer: Any, rows: list[Any], folder: Path, batch: int) -> tuple[list[float], Moment]:
    import torch
    from peft import get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    class InOrder(Trainer):
        def _get_train_sampler(self, *given: Any) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    kept = [{name: row[name] for name in ("input_ids", "labels")} for row in rows]
    model = get_peft_model(model, _peft_config())
    arguments = TrainingArguments(**_options(folder, batch))
    made = InOrder(model, arguments, DataCollatorForSeq2Seq(tokenizer), train_dataset=kept)
    return _run(made)


def _trl(
    model: Any, tokenizer: Any, rows: list[Any], folder: Path, batch: int, **more: Any
) -> tuple[list[float], Moment]:
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    class InOrder(SFTTrainer):
        def _get_train_sampler(self, *given: Any) -> Any:
            return torch.utils.data.SequentialSampler(rows)

    kept = Dataset.from_list([{name: row[name] for name in ("input_ids", "completion_mask")} for row in rows])
    # Unless told otherwise it learns every token of rows that are tokenised already, prompts too.
    arguments = SFTConfig(**_options(folder, batch), max_length=LENGTH, completion_only_loss=True, **more)
    made = InOrder(model, arguments, train_dataset=kept, processing_class=tokenizer, peft_config=_peft_config())
    return _run(made)


def _run(trainer: Any) -> tuple[list[float], Moment]:
    from transformers import TrainerCallback

    times: list[Moment] = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *given: Any, **named: Any) -> None:
            times.append(_now())

    trainer.add_callback(Watch())
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return losses, _between(times)


if __name__ == "__main__":
    main()
