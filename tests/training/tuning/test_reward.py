"""Answers that a grader rewards become likelier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from craton.core.errors import InvalidRequest
from craton.core.job import JobCancelled
from craton.training.specification.tuning import Grader, Records, RewardTuning, TextFit
from craton.training.tuning.learner import newest
from craton.training.tuning.reward import train
from tests.training.memory import MemoryRun
from tests.training.tuning.conftest import WORDS, given
from tests.training.tuning.test_graders import Outside

DATA = Records("s3://train/prompts.jsonl", share=0.25)
FIT = TextFit(steps=12, batch=16, length=64, learning_rate=5e-3, schedule="constant")
LETTERS = "def grade(prompt, answer, record):\n    return sum(map(str.isalpha, answer)) / max(1, len(answer))"


def prompts(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"What is {WORDS[n % 6]}? {n}"} for n in range(count)]


def spec(grader: str = LETTERS) -> RewardTuning:
    return RewardTuning(
        data=DATA, base="tiny", tune="full", train=FIT, grader=Grader(python=grader), group=8, tokens=12
    )


def memory_run(folder: Path, tiny: Path) -> MemoryRun:
    folder.mkdir(exist_ok=True)
    return MemoryRun(folder, repositories={"model:tiny@main": tiny}, outside=Outside())


@pytest.mark.slow
def test_what_is_rewarded_becomes_likelier_over_a_stop(tiny: Path, tmp_path: Path) -> None:
    run = memory_run(tmp_path / "run", tiny)

    def stop() -> None:
        if len(run.curves["mean_reward"]) >= 6:
            raise JobCancelled

    run.stop = stop
    with pytest.raises(JobCancelled):
        train(spec(), given(prompts(12)), run, seconds=0.0)
    assert newest(run.folder / "trainer") is not None
    again = memory_run(tmp_path / "run", tiny)
    trained = train(spec(), given(prompts(12)), again)
    assert [step for step, _ in again.curves["mean_reward"]] == list(range(1, 13))
    assert trained.metrics["validation_reward"] > trained.metrics["validation_reward_before"] + 0.05
    assert trained.folder is not None
    assert (trained.folder / "model.safetensors").is_file()


def test_a_grader_that_fails_stops_the_run_before_it_learns(tiny: Path, tmp_path: Path) -> None:
    run = memory_run(tmp_path / "run", tiny)
    with pytest.raises(InvalidRequest, match=r"for the record at line \d+ it failed: ZeroDivisionError"):
        train(spec("def grade(prompt, answer, record): return 1 / 0"), given(prompts(4)), run)
    assert not run.curves["mean_reward"]
