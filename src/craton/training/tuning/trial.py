"""A finished result is loaded in a process that never saw the training, and must give the loss that was measured there.

`python -m craton.training.tuning.trial PARENT` reads one request (JSON) and answers with figures (JSON).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from craton.children.limits import die_with
from craton.children.process import clean_environment
from craton.core.errors import CratonError, Damaged

SAMPLES = 8
SECONDS = 1800.0
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
    logit. error: "" unless it could not be loaded."""

    loss: float = 0.0
    changed: float = 0.0
    error: str = ""


def try_out(request: Request, expected: float, *, rough: bool) -> Answer:
    """Raises Damaged when what was written cannot be loaded, gives another loss, or (an adapter) changes nothing."""
    command = [sys.executable, "-s", "-P", "-m", "craton.training.tuning.trial", str(os.getpid())]
    process = subprocess.Popen(
        command,
        env=clean_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = process.communicate(msgspec.json.encode(request), SECONDS)
    except subprocess.TimeoutExpired:
        raise Damaged("the tuned model", f"it did not answer within {SECONDS:.0f} seconds") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise Damaged("the tuned model", "the process that loaded it again did not survive it")
    answer = msgspec.json.decode(output, type=Answer)
    if answer.error:
        raise Damaged("the tuned model", f"it cannot be loaded again: {answer.error}")
    if abs(answer.loss - expected) > (ROUGH if rough else RELATIVE) * max(1.0, abs(expected)):
        raise Damaged(
            "the tuned model", f"loaded again its loss is {answer.loss:.5g}, in training it was {expected:.5g}"
        )
    if request.base and not answer.changed:
        raise Damaged("the adapter", "it changes no logits: it would answer in its name only. More updates teach it")
    return answer


def main() -> None:
    die_with(int(sys.argv[1]))
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries that talk do not spoil the answer
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    try:
        answer = _answer(request)
    except (CratonError, OSError, ValueError, KeyError, RuntimeError) as error:
        answer = Answer(error=str(error).partition("\n")[0][:300])
    output.write(msgspec.json.encode(answer))
    output.close()


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
    main()
