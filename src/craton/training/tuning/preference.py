"""Direct preference optimisation: of two answers to a prompt, the chosen one is made likelier than the rejected one.

Rafailov et al., 2023 (arXiv 2305.18290), by TRL's DPOTrainer: -log sigmoid(beta * ((c - c0) - (r - r0))) for the
log-likelihoods of both answers, less those that the base gives them. The base is the same model with its adapter
switched off; where all weights learn, its numbers are computed once, before the first update.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.training.protocol import Run, Trained
from craton.training.specification.tuning import PreferenceTuning
from craton.training.tuning.conversations import Conversation, Messages, read_prompt
from craton.training.tuning.given import Given, Read
from craton.training.tuning.learner import (
    SECONDS,
    Learner,
    arguments,
    begin,
    learn,
    plain,
    published,
    quiet,
    rows,
    split,
    told,
)
from craton.training.tuning.likelihood import as_sample, log_likelihood, mean_loss
from craton.training.tuning.records import good
from craton.training.tuning.results import rounded
from craton.training.tuning.sampling import Sampler
from craton.training.tuning.trial import SAMPLES

if TYPE_CHECKING:
    from datasets import Dataset

RATES = {"lora": 5e-5, "full": 1e-6}
JUDGED = 256  # pairs held out that are measured, the first ones
NAMES = {
    "loss": "training_loss",
    "learning_rate": "learning_rate",
    "epoch": "epoch",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Tokens."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


def train(spec: PreferenceTuning, given: Given, run: Run, seconds: float = SECONDS) -> Trained:
    """Raises InvalidRequest for records and bases that do not do, and what `Run` raises."""
    learner = begin(spec, given, run)
    with tempfile.TemporaryDirectory(prefix="craton-pairs-") as place:
        learning, held = _data(spec, given, learner, Path(place), run)
        trainer = _trainer(spec, learner, learning, run, seconds)
        judged = [_pair(row) for row in held.select(range(min(JUDGED, len(held))))]
        before = _likelihoods(trainer.model, judged, learner, run)
        learn(trainer, run.folder / "trainer")
        model = trainer.accelerator.unwrap_model(trainer.model)
        if learner.adapter is None:
            rounded(model)
        metrics = figures(before, _likelihoods(model, judged, learner, run), judged, spec.beta)
        if metrics:
            run.metric("validation_loss", metrics["validation_loss"], trainer.state.global_step)
        some = (judged or [_pair(row) for row in learning.select(range(min(SAMPLES, len(learning))))])[:SAMPLES]
        answers = [(one.prompt, one.chosen) for one in some]
        samples = [as_sample(*one) for one in answers]
        half = learner.fit.precision == "bfloat16"
        folder = published(learner, model, given.base, samples, lambda: mean_loss(model, answers, half=half), run)
    notes = [f"{len(learning):,} pairs to learn from, {len(held):,} held out; {trainer.state.global_step:,} updates."]
    notes.append("It prefers what people preferred in its data, which need not be true.")
    return Trained(None, metrics, [], notes, folder, (given.base,))


def figures(
    before: list[tuple[float, float]], after: list[tuple[float, float]], pairs: list[Pair], beta: float
) -> dict[str, float]:
    """before, after: of each pair, the log-likelihoods of its chosen and its rejected answer. A preference is told
    right when the chosen answer's tokens are likelier, on the average: longer answers are not at a disadvantage."""
    if not pairs:
        return {}
    count = len(pairs)
    margins = [
        beta * ((chosen - chosen_0) - (rejected - rejected_0))
        for (chosen_0, rejected_0), (chosen, rejected) in zip(before, after, strict=True)
    ]
    return {
        "preference_accuracy_before": sum(map(_right, before, pairs)) / count,
        "preference_accuracy": sum(map(_right, after, pairs)) / count,
        "reward_margin": sum(margins) / count,
        "reward_accuracy": sum(margin > 0 for margin in margins) / count,
        "validation_loss_before": math.log(2),  # the margin of the base over itself is 0
        "validation_loss": sum(dpo_loss(margin) for margin in margins) / count,
    }


def dpo_loss(margin: float) -> float:
    """-log sigmoid, without overflow."""
    return math.log1p(math.exp(-abs(margin))) + max(-margin, 0.0)


def read_pair(record: Json, sampler: Sampler) -> Pair:
    """Raises InvalidRequest."""
    for name in ("prompt", "chosen", "rejected"):
        if name not in record:
            raise InvalidRequest(f'it has no "{name}"; a record is {{"prompt", "chosen", "rejected"}}')
    prompt = read_prompt({"prompt": record["prompt"]})
    is_text = isinstance(record["prompt"], str)
    sides = [_answered(sampler, prompt, record[name], name, is_text=is_text) for name in ("chosen", "rejected")]
    if sides[0][1] == sides[1][1]:
        raise InvalidRequest("its chosen and rejected answers are the same")
    return Pair(sides[0][0], sides[0][1], sides[1][1])


def _answered(
    sampler: Sampler, prompt: Messages, said: Any, name: str, *, is_text: bool
) -> tuple[list[int], list[int]]:
    """Tokens of the prompt and of the answer."""
    if isinstance(said, list):  # messages: the answer alone, or after the same prompt again
        said = said[-1].get("content") if said and isinstance(said[-1], dict) else None
    if not isinstance(said, str) or not said:
        raise InvalidRequest(f"its {name} answer is no text, or an empty one")
    sample = sampler.conversation(Conversation([*prompt, {"role": "assistant", "content": said}], plain=is_text))
    end = len(sample.learned) - sample.learned[::-1].index(True)
    start = end - [*sample.learned[:end][::-1], False].index(False)
    return sample.ids[:start], sample.ids[start:end]


def _data(spec: PreferenceTuning, given: Given, learner: Learner, place: Path, run: Run) -> tuple[Dataset, Dataset]:
    length = min(spec.train.length, learner.context)
    everything = _gather(given.train, learner, place / "train.arrow", length, run)
    if given.validation is not None:
        learning, held = everything, _gather(given.validation, learner, place / "validation.arrow", length, run)
    else:
        learning, held = split(everything, spec.data.share, spec.seed)
    run.log(f"{len(learning):,} pairs to learn from, {len(held):,} held out")
    return learning, held


def _gather(source: Read, learner: Learner, path: Path, length: int, run: Run) -> Dataset:
    from datasets import List, Value

    sampler, left_out = Sampler(learner.tokenizer), 0

    def fitting() -> Iterator[dict[str, list[int]]]:
        nonlocal left_out
        for number, pair in enumerate(good(source(), lambda record: read_pair(record, sampler))):
            if number % 64 == 0:
                run.check()
            if len(pair.prompt) + max(len(pair.chosen), len(pair.rejected)) > length:
                left_out += 1
            else:
                yield {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}

    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    found = rows(fitting(), {name: List(Value("int32")) for name in names}, path)
    if left_out:
        run.warn(
            f"{left_out:,} pairs are longer than {length:,} tokens (train.length, or the base's context): left out"
        )
    if not len(found):
        raise InvalidRequest(f"no pair fits in {length:,} tokens", "train.length")
    return found


def _pair(row: Any) -> Pair:
    return Pair(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"])


def _trainer(spec: PreferenceTuning, learner: Learner, learning: Dataset, run: Run, seconds: float) -> Any:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    class Trainer(plain(DPOTrainer)):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # tokens already, made as for every other method

    whole = learner.adapter is None
    config = DPOConfig(
        **arguments(spec, learner, RATES[spec.tune], run.folder / "trainer"),
        beta=spec.beta,
        max_length=None,
        precompute_ref_log_probs=whole,
    )
    return quiet(
        Trainer(
            learner.model,
            args=config,
            train_dataset=learning,
            processing_class=learner.tokenizer,
            peft_config=learner.adapter,
            callbacks=[told(run, NAMES, seconds)],
        )
    )


def _likelihoods(model: Any, pairs: list[Pair], learner: Learner, run: Run) -> list[tuple[float, float]]:
    found = []
    half = learner.fit.precision == "bfloat16"
    for one in pairs:
        run.check()
        found.append(
            (
                log_likelihood(model, one.prompt, one.chosen, half=half),
                log_likelihood(model, one.prompt, one.rejected, half=half),
            )
        )
    return found


def _right(likelihoods: tuple[float, float], pair: Pair) -> bool:
    return likelihoods[0] / len(pair.chosen) > likelihoods[1] / len(pair.rejected)
