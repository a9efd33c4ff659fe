"""What a grader says of a model's answers to held-out prompts."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from craton.training.protocol import Run
from craton.training.tuning.graders.protocol import Grading, Sample

if TYPE_CHECKING:
    from datasets import Dataset

DRAWN = 4  # answers to each prompt


class Judged(NamedTuple):
    """drawn: prompts and the first answer to each, as tokens."""

    mean: float
    drawn: list[tuple[list[int], list[int]]]


def sample_of(answer: str, place: str, record: str) -> Sample:
    value = json.loads(record)
    return Sample(place, value["prompt"] if "prompt" in value else value["messages"], answer, value)


def judge(trainer: Any, held: Dataset, grading: Grading, seed: int, run: Run) -> Judged:
    """The mean reward of answers drawn as in training, the same random numbers each time."""
    import torch

    total, drawn = 0.0, []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for row in held:
            run.check()
            found = draw(trainer, json.loads(row["prompt"]), DRAWN)
            texts = trainer.processing_class.batch_decode([answer for _, answer in found], skip_special_tokens=True)
            total += sum(grading.grade([sample_of(text, row["place"], row["record"]) for text in texts]))
            drawn.append(found[0])
    return Judged(total / max(1, DRAWN * len(held)), drawn)


def draw(trainer: Any, prompt: list[int], count: int) -> list[tuple[list[int], list[int]]]:
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
