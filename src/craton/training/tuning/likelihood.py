"""How likely a model finds an answer: the sum of its tokens' log-probabilities after the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from craton.training.tuning.precision import device_of


def log_likelihood(model: Any, prompt: Sequence[int], answer: Sequence[int], *, half: bool = False) -> float:
    """half: computed in bfloat16 where that is how it was trained."""
    import torch

    device = device_of()
    ids = torch.tensor([[*prompt, *answer]], device=device)
    was = model.training
    model.eval()
    precision = torch.autocast(device.type, dtype=torch.bfloat16) if half else nullcontext()
    with torch.no_grad(), precision:
        logits = model(input_ids=ids, logits_to_keep=len(answer) + 1, use_cache=False).logits[0, :-1].float()
    model.train(was)
    wanted = ids[0, len(prompt) :, None]
    return float(torch.log_softmax(logits, dim=-1).gather(1, wanted).sum())


def mean_loss(model: Any, pairs: Sequence[tuple[list[int], list[int]]], *, half: bool = False) -> float:
    """Of the answers' tokens, all counting the same."""
    total = sum(log_likelihood(model, prompt, answer, half=half) for prompt, answer in pairs)
    return -total / max(1, sum(len(answer) for _, answer in pairs))


def as_sample(prompt: Sequence[int], answer: Sequence[int]) -> tuple[list[int], list[int]]:
    """Its ids, and which of them are learned."""
    return [*prompt, *answer], [0] * len(prompt) + [1] * len(answer)
