"""Learning from rewards: the model answers each prompt several times, and answers better than their group's mean become
likelier.

Group relative policy optimisation (Shao et al., 2024, arXiv 2402.03300), by TRL's GRPOTrainer; answers are drawn by
transformers' own generation.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.training.protocol import Run, Trained
from craton.training.specification.tuning import RewardTuning
from craton.training.tuning.conversations import read_prompt
from craton.training.tuning.given import Given, Read
from craton.training.tuning.graders.opening import open_grader
from craton.training.tuning.graders.protocol import Grading, Sample
from craton.training.tuning.learner import (
    SECONDS,
    Learner,
    arguments,
    begin,
    newest,
    plain,
    published,
    quiet,
    rows,
    split,
    told,
)
from craton.training.tuning.likelihood import as_sample, mean_loss
from craton.training.tuning.records import Record, good
from craton.training.tuning.results import rounded
from craton.training.tuning.sampling import Sampler
from craton.training.tuning.trial import SAMPLES

if TYPE_CHECKING:
    from datasets import Dataset

RATES = {"lora": 5e-5, "full": 1e-6}
JUDGED = 64  # prompts held out that are measured, the first ones
DRAWN = 4  # answers to each of them
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
    learning, held = _data(spec, given, learner, place, run)
    rewards = _Rewards(grading, run)
    trainer = _trainer(spec, learner, learning, rewards, run, seconds)
    judged = held.select(range(min(JUDGED, len(held))))
    before = _judge(trainer, judged, grading, spec.seed, run)
    trainer.train(resume_from_checkpoint=newest(run.folder / "trainer"))
    model = trainer.accelerator.unwrap_model(trainer.model)
    if learner.adapter is None:
        rounded(model)
    after = _judge(trainer, judged, grading, spec.seed, run)
    if rewards.groups and not rewards.telling:
        run.warn("all answers of every group got the same reward, so there was nothing to learn from it")
    drawn = after.drawn[:SAMPLES] or _draw(trainer, json.loads(learning[0]["prompt"]), 1)
    samples = [as_sample(*one) for one in drawn]
    half = learner.fit.precision == "bfloat16"
    folder = published(learner, model, given.base, samples, lambda: mean_loss(model, drawn, half=half), run)
    notes = [
        f"{len(learning):,} prompts to learn from, {len(held):,} held out; {spec.group} answers to each.",
        "It learned what its grader rewards, which may be less than what was meant: read some answers.",
    ]
    metrics = {} if not len(judged) else {"validation_reward_before": before.mean, "validation_reward": after.mean}
    return Trained(None, metrics, [], notes, folder, (given.base,))


class _Judged(NamedTuple):
    """drawn: prompts and the first answer to each, as tokens."""

    mean: float
    drawn: list[tuple[list[int], list[int]]]


class _Rewards:
    """What TRL calls a reward function. groups: that were graded; telling: those whose rewards differed."""

    def __init__(self, grading: Grading, run: Run) -> None:
        self._grading, self._run = grading, run
        self.groups = self.telling = 0
        self.__name__ = "reward"

    def __call__(self, completions: Sequence[str], number: Sequence[int], **columns: Any) -> list[float]:
        self._run.check()
        samples = [
            _sample(answer, place, record)
            for answer, place, record in zip(completions, columns["place"], columns["record"], strict=True)
        ]
        found = self._grading.grade(samples)
        by_prompt: dict[int, set[float]] = {}
        for one, reward in zip(number, found, strict=True):
            by_prompt.setdefault(one, set()).add(reward)
        self.groups += len(by_prompt)
        self.telling += sum(len(rewards) > 1 for rewards in by_prompt.values())
        return found


def _sample(answer: str, place: str, record: str) -> Sample:
    value = json.loads(record)
    return Sample(place, value["prompt"] if "prompt" in value else value["messages"], answer, value)


def _data(spec: RewardTuning, given: Given, learner: Learner, place: Path, run: Run) -> tuple[Dataset, Dataset]:
    length = min(spec.train.length, learner.context - spec.tokens)
    if length < 1:
        raise InvalidRequest(f"leaves no room for a prompt in the base's context of {learner.context:,}", "tokens")
    everything = _gather(given.train, learner, place / "train.arrow", length, run)
    if given.validation is not None:
        learning, held = everything, _gather(given.validation, learner, place / "validation.arrow", length, run)
    else:
        learning, held = split(everything, spec.data.share, spec.seed)
    run.log(f"{len(learning):,} prompts to learn from, {len(held):,} held out")
    return learning, held


def _gather(source: Read, learner: Learner, path: Path, length: int, run: Run) -> Dataset:
    from datasets import Value

    sampler, left_out = Sampler(learner.tokenizer), 0

    def fitting() -> Iterator[Json]:
        nonlocal left_out
        for number, (place, record, ids) in enumerate(good(_placed(source()), lambda value: _read(value, sampler))):
            if number % 64 == 0:
                run.check()
            if len(ids) > length:
                left_out += 1
            else:
                yield {"prompt": json.dumps(ids), "number": number, "place": place, "record": json.dumps(record)}

    texts = {name: Value("string") for name in ("prompt", "place", "record")}
    found = rows(fitting(), {**texts, "number": Value("int64")}, path)
    if left_out:
        run.warn(f"{left_out:,} prompts are longer than {length:,} tokens (train.length, or the context): left out")
    if not len(found):
        raise InvalidRequest(f"no prompt fits in {length:,} tokens", "train.length")
    return found


def _placed(records: Iterator[Record]) -> Iterator[Record]:
    """The place goes with what the record holds, for what is said of the grader."""
    for place, value, fault in records:
        yield Record(place, None if value is None else {"place": place, "record": value}, fault)


def _read(placed: Json, sampler: Sampler) -> tuple[str, Json, list[int]]:
    record = placed["record"]
    return placed["place"], record, sampler.asked(read_prompt(record))


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


def _judge(trainer: Any, held: Dataset, grading: Grading, seed: int, run: Run) -> _Judged:
    """The mean reward of answers drawn as in training, the same random numbers each time."""
    import torch

    total, drawn = 0.0, []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for row in held:
            run.check()
            found = _draw(trainer, json.loads(row["prompt"]), DRAWN)
            texts = trainer.processing_class.batch_decode([answer for _, answer in found], skip_special_tokens=True)
            total += sum(grading.grade([_sample(text, row["place"], row["record"]) for text in texts]))
            drawn.append(found[0])
    return _Judged(total / max(1, DRAWN * len(held)), drawn)


def _draw(trainer: Any, prompt: list[int], count: int) -> list[tuple[list[int], list[int]]]:
    """The prompt with each answer, to where that ends."""
    import torch

    model = trainer.accelerator.unwrap_model(trainer.model)
    was = model.training
    model.eval()
    settings = deepcopy(trainer.generation_config)
    settings.num_return_sequences = count
    ids = torch.tensor([prompt], device=trainer.accelerator.device)
    with torch.no_grad():
        found = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
        )
    model.train(was)
    ends = set(trainer.eos_token_ids)
    return [(prompt, _until(answer, ends)) for answer in found[:, len(prompt) :].tolist()]


def _until(answer: list[int], ends: set[int]) -> list[int]:
    """Through the first sign of the end."""
    for place, token in enumerate(answer):
        if token in ends:
            return answer[: place + 1]
    return answer
