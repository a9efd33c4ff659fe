"""How much memory a tuning takes, roughly, before it takes it; in numbers that are told when it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from craton.core.errors import InvalidRequest
from craton.training.methods.deep.memory import available
from craton.training.protocol import Run
from craton.training.specification.tuning import TextFit

FLOAT, HALF = 4, 2  # bytes
LIBRARIES = 700 << 20  # torch, transformers and peft
LOADING = 1.3  # of the weights, while a file's own are still there
LESS = "a smaller train.batch or train.length, train.checkpointing, `tune: lora` or a smaller base takes less"


@dataclass(frozen=True, slots=True)
class Shared:
    """How a tuning is shared out. size: processes in all, here: on this machine. gpu: whether each has one."""

    size: int = 1
    here: int = 1
    gpu: bool = False


def check_weights(parameters: int, trained: int, run: Run, shared: Shared) -> None:
    """Before a weight is read. trained: how many of them learn. Raises InvalidRequest.

    This process reads the whole model; then each holds its part of it, and of what learning keeps."""
    learning = 3 * FLOAT * trained  # gradient and AdamW's two moments
    part = shared.here / shared.size
    parts = 0.0 if shared.size == 1 or shared.gpu else part * FLOAT * parameters
    held = 0.0 if shared.gpu else part * learning
    needed = LIBRARIES * shared.here + round(LOADING * FLOAT * parameters + parts + held)
    _check(needed, available(), "its weights alone", run, shared)
    if shared.gpu:
        _check((FLOAT * parameters + learning) // shared.size, _on_gpu(), "its weights alone", run, shared)


def check_steps(model: Any, trained: int, tokens: int, learned: int, fit: TextFit, run: Run, shared: Shared) -> None:
    """Once the model is known. tokens: of the largest step, learned of them with logits. Raises InvalidRequest."""
    shape = model.config.get_text_config()
    wide = getattr(shape, "intermediate_size", None) or 4 * shape.hidden_size
    size = HALF if fit.precision == "bfloat16" else FLOAT
    layer = tokens * (16 * shape.hidden_size + 5 * wide) * size
    between = layer * shape.num_hidden_layers
    if fit.checkpointing:  # what goes into each layer is kept; what is in one is made again
        between = layer + tokens * shape.num_hidden_layers * shape.hidden_size * size
    logits = 3 * learned * shape.vocab_size * FLOAT
    needed = 3 * FLOAT * trained + between + logits  # of all processes together
    if shared.gpu:
        weights = sum(weight.numel() for weight in model.parameters()) * FLOAT
        _check((needed + weights) // shared.size, _on_gpu(), f"steps of {tokens:,} tokens", run, shared)
    else:
        _check(needed * shared.here // shared.size, available(), f"steps of {tokens:,} tokens", run, shared)


@contextmanager
def told_when_full() -> Iterator[None]:
    """Raises InvalidRequest where a GPU's memory does not do, as the estimate did not foresee."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InvalidRequest(f"the GPU's memory does not do: {LESS}", "train") from error


def _check(needed: int, free: int | None, what: str, run: Run, shared: Shared) -> None:
    run.parameter("memory_estimate_mb", needed >> 20)
    if free is None or needed <= free:
        return
    where = " on each GPU" if shared.gpu else ""
    who = f" by {shared.here} processes here" if shared.here > 1 and not shared.gpu else ""
    raise InvalidRequest(
        f"{what}{who} need about {needed / 2**30:.1f} GB of memory{where} and {free / 2**30:.1f} GB are free; {LESS}",
        "train",
    )


def _on_gpu() -> int | None:
    """Bytes that are free on this process's."""
    from torch import cuda

    return cuda.mem_get_info()[0] if cuda.is_available() else None
