"""Learning from rewards: the model answers each prompt several times, and answers better than their group's mean become
likelier.

Group relative policy optimisation (Shao et al., 2024, arXiv 2402.03300), by TRL's GRPOTrainer; answers are drawn by
transformers' own generation.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Run, Trained
from craton.training.specification.tuning import RewardTuning
from craton.training.tuning.given import Given
from craton.training.tuning.graders.opening import open_grader
from craton.training.tuning.graders.protocol import Grading
from craton.training.tuning.judging import draw, judge, sample_of
from craton.training.tuning.learner import (
    SECONDS,
    Learner,
    arguments,
    begin,
    learn,
    plain,
    published,
    quiet,
    told,
)
from craton.training.tuning.likelihood import as_sample, mean_loss
from craton.training.tuning.prompts import prompts
from craton.training.tuning.results import rounded
from craton.training.tuning.trial import SAMPLES

if TYPE_CHECKING:
    from datasets import Dataset

RATES = {"lora": 5e-5, "full": 1e-6}
JUDGED = 64  # prompts held out that are measured, the first ones
NAMES = {
    "loss": "training_loss",
    "learning_rate": "learning_rate",
    "epoch": "epoch",
    "reward": "mean_reward",
    "reward_std": "reward_deviation",
    "completions/mean_length": "answer_tokens",
    "entropy": "entropy",
}


def train(spec: RewardTuning, given: Given, run: Run, seconds: float = SECONDS) -> Trained:
    """Raises InvalidRequest for records, bases and graders that do not do, and what `Run` raises."""
    grading = open_grader(spec.grader, run.outside)
    try:
        with tempfile.TemporaryDirectory(prefix="craton-prompts-") as place:
            return _train(spec, given, run, grading, Path(place), seconds)
    finally:
        grading.close()


def _train(spec: RewardTuning, given: Given, run: Run, grading: Grading, place: Path, seconds: float) -> Trained:
    learner = begin(spec, given, run)
    learning, held = prompts(spec, given, learner, place, run)
    rewards = _Rewards(grading, run)
    trainer = _trainer(spec, learner, learning, rewards, run, seconds)
    judged = held.select(range(min(JUDGED, len(held))))
    before = judge(trainer, judged, grading, spec.seed, run)
    learn(trainer, run.folder / "trainer")
    model = trainer.accelerator.unwrap_model(trainer.model)
    if learner.adapter is None:
        rounded(model)
    after = judge(trainer, judged, grading, spec.seed, run)
    if len(judged):
        run.metric("validation_reward", after.mean, trainer.state.global_step)
    if rewards.groups and not rewards.telling:
        run.warn("all answers of every group got the same reward, so there was nothing to learn from it")
    drawn = after.drawn[:SAMPLES] or draw(trainer, json.loads(learning[0]["prompt"]), 1)
    samples = [as_sample(*one) for one in drawn]
    half = learner.fit.precision == "bfloat16"
    folder = published(learner, model, given.base, samples, lambda: mean_loss(model, drawn, half=half), run)
    notes = [
        f"{len(learning):,} prompts to learn from, {len(held):,} held out; {spec.group} answers to each.",
        "It learned what its grader rewards, which may be less than what was meant: read some answers.",
    ]
    metrics = {} if not len(judged) else {"validation_reward_before": before.mean, "validation_reward": after.mean}
    return Trained(None, metrics, [], notes, folder, (given.base,))


class _Rewards:
    """What TRL calls a reward function. groups: that were graded; telling: those whose rewards differed."""

    def __init__(self, grading: Grading, run: Run) -> None:
        self._grading, self._run = grading, run
        self.groups = self.telling = 0
        self.__name__ = "reward"

    def __call__(self, completions: Sequence[str], number: Sequence[int], **columns: Any) -> list[float]:
        self._run.check()
        samples = [
            sample_of(answer, place, record)
            for answer, place, record in zip(completions, columns["place"], columns["record"], strict=True)
        ]
        found = self._grading.grade(samples)
        by_prompt: dict[int, set[float]] = {}
        for one, reward in zip(number, found, strict=True):
            by_prompt.setdefault(one, set()).add(reward)
        self.groups += len(by_prompt)
        self.telling += sum(len(rewards) > 1 for rewards in by_prompt.values())
        return found


def _trainer(
    spec: RewardTuning, learner: Learner, learning: Dataset, rewards: _Rewards, run: Run, seconds: float
) -> Any:
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    class Trainer(plain(GRPOTrainer)):  # type: ignore[misc]
        def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            """Tokens already, as serving makes them; TRL wants texts, so they came as JSON."""
            return [json.loads(ids) for ids in prompts], None, {}

    given = arguments(spec, learner, RATES[spec.tune], run.folder / "trainer")
    given["per_device_train_batch_size"] = math.ceil(spec.train.batch / spec.group) * spec.group  # whole groups
    config = GRPOConfig(
        **given,
        beta=spec.beta,
        num_generations=spec.group,
        max_completion_length=spec.tokens,
        temperature=spec.temperature,
        loss_type="grpo",
        remove_unused_columns=False,
    )
    return quiet(
        Trainer(
            learner.model,
            reward_funcs=rewards,
            args=config,
            train_dataset=learning,
            processing_class=learner.tokenizer,
            peft_config=learner.adapter,
            callbacks=[told(run, NAMES, seconds)],
        )
    )
