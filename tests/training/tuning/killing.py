"""Runs of TRL's methods that die by kill -9, in children of a process that has imported what they need:

    python -m tests.training.tuning.killing BASE FOLDER PLACE/METHOD:MOMENT...
    (METHOD: preference or reward; MOMENT: 2.5s, 3u or end)

An attempt is killed after so many seconds, or kills itself after so many updates, or comes to its end. A line tells how
each ended (its exit code, or the signal, negative) and whether there is a result then, the adapter, in its place.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import WORDS, given
from tests.training.tuning.test_graders import Outside

STEPS = 7


@dataclass
class Dying(MemoryRun):
    """left: updates until it dies, 0 for never."""

    left: int = 0

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def tune(method: str, base: Path, folder: Path, updates: int) -> None:
    """Goes on from the newest checkpoint; each update leaves one."""
    from craton.training.specification.tuning import Grader, Lora, PreferenceTuning, Records, RewardTuning, TextFit
    from craton.training.tuning import learner, preference, reward
    from craton.training.tuning.trial import Answer

    learner.try_out = lambda request, expected, *, rough: Answer(expected, 1.0)  # it is tried by other tests
    learner.TIMES = 0.0
    folder.mkdir(exist_ok=True, parents=True)
    shared: dict[str, Any] = {"data": Records("s3://a/b", share=0.25), "base": "tiny", "lora": Lora(4, dropout=0.1)}
    fit = TextFit(steps=STEPS, batch=4, length=64, learning_rate=1e-2)
    records: list[dict[str, Any]] = [{"prompt": f"What is {WORDS[n % 6]}? {n}"} for n in range(16)]
    run = Dying(folder, repositories={"model:tiny@main": base}, outside=Outside(), left=updates)
    if method == "preference":
        pairs = [one | {"chosen": "It is a colour.", "rejected": "What is it?"} for one in records]
        trained = preference.train(PreferenceTuning(train=fit, **shared), given(pairs), run, seconds=-1.0)
    else:
        grader = Grader(python="def grade(prompt, answer, record):\n    return len(answer) / 100")
        spec = RewardTuning(train=fit, grader=grader, group=4, tokens=8, **shared)
        trained = reward.train(spec, given(records), run, seconds=-1.0)
    assert trained.folder is not None
    (folder / "partial").write_bytes((trained.folder / "adapter_model.safetensors").read_bytes())
    (folder / "partial").rename(folder / "result")


def attempt(method: str, base: Path, folder: Path, moment: str) -> int:
    """How it ended."""
    child = os.fork()
    if not child:
        try:
            tune(method, base, folder, int(moment[:-1]) if moment.endswith("u") else 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    if moment.endswith("s"):
        time.sleep(float(moment[:-1]))
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(base: str, folder: str, *moments: str) -> None:
    import torch
    import trl.trainer.dpo_trainer
    import trl.trainer.grpo_trainer

    assert trl
    torch.set_num_threads(1)
    for each in moments:
        name, moment = each.split(":")
        place = Path(folder) / name
        code = attempt(place.name, Path(base), place, moment)
        print(code, (place / "result").exists(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
