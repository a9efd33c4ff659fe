"""A finished result is loaded in a process that never saw the training, and must give the loss measured there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from craton.core.errors import Damaged
from craton.training.fresh import answer as answer_as_program
from craton.training.fresh import ask

SAMPLES = 8
RELATIVE = 2e-3  # of a loss: float32 sums in another order; a GPU's bfloat16 is compared with the CPU's float32
ROUGH = 3e-2


class Request(Struct, frozen=True):
    """base: the folder that an adapter goes over, "" for a whole model. samples: ids, and which are learned."""

    folder: str
    base: str
    samples: list[tuple[list[int], list[int]]]
    threads: int


class Answer(Struct, frozen=True):
    """loss: the mean of the samples' learned tokens. changed: the largest difference that the adapter makes to a
    logit."""

    loss: float = 0.0
    changed: float = 0.0


def try_out(request: Request, expected: float, *, rough: bool) -> Answer:
    """Raises Damaged when what was written cannot be loaded, gives another loss, or (an adapter) changes nothing."""
    answer = ask(__name__, request, Answer, "the tuned model")
    if abs(answer.loss - expected) > (ROUGH if rough else RELATIVE) * max(1.0, abs(expected)):
        raise Damaged(
            "the tuned model", f"loaded again its loss is {answer.loss:.5g}, in training it was {expected:.5g}"
        )
    if request.base and not answer.changed:
        raise Damaged("the adapter", "it changes no logits: it would answer in its name only. More updates teach it")
    return answer


def _answer(request: Request) -> Answer:
    import torch

    from craton.training.tuning.base import load_model, look_at

    torch.set_num_threads(request.threads)
    folder = Path(request.folder)
    if not request.base:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        return Answer(_loss(model, request)[0])
    from peft import PeftModel

    model = load_model(look_at(Path(request.base), "the base"))
    adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    loss, logits = _loss(adapted, request)
    with adapted.disable_adapter():
        _, before = _loss(adapted, request)
    return Answer(loss, float((logits - before).abs().max()))


def _loss(model: Any, request: Request) -> tuple[float, Any]:
    """Each sample by itself, by transformers' own attention: another way to the same number."""
    import torch
    from torch.nn import functional

    model.eval()
    total, count, last = 0.0, 0, None
    with torch.no_grad():
        for ids, learned in request.samples:
            row = torch.tensor(ids)
            places = torch.tensor([place for place, mine in enumerate(learned) if mine])
            last = model(input_ids=row[None], logits_to_keep=places - 1, use_cache=False).logits[0].float()
            total += float(functional.cross_entropy(last, row[places], reduction="sum"))
            count += len(places)
    return total / max(1, count), last


if __name__ == "__main__":
    answer_as_program(Request, _answer)
