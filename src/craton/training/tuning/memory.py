"""How much memory a tuning takes, roughly, before it takes it; in numbers that are told when it is refused."""

from __future__ import annotations

from typing import Any

from craton.core.errors import InvalidRequest
from craton.training.methods.deep.memory import available
from craton.training.protocol import Run

FLOAT = 4  # bytes
LIBRARIES = 700 << 20  # torch, transformers and peft
LOADING = 1.3  # of the weights, while a file's own are still there


def check_weights(parameters: int, trained: int, run: Run) -> None:
    """Before a weight is read. trained: how many of them learn. Raises InvalidRequest."""
    learning = 3 * FLOAT * trained  # gradient and AdamW's two moments
    _check(LIBRARIES + round(LOADING * FLOAT * parameters) + learning, "its weights alone", run)


def check_steps(model: Any, trained: int, tokens: int, learned: int, run: Run) -> None:
    """Once the model is known. tokens: of the largest step, learned of them with logits. Raises InvalidRequest."""
    from torch import cuda

    if cuda.is_available():
        return  # what it lacks shows at the first step, and other memory is not its
    shape = model.config.get_text_config()
    wide = getattr(shape, "intermediate_size", None) or 4 * shape.hidden_size
    between = tokens * shape.num_hidden_layers * (16 * shape.hidden_size + 5 * wide) * FLOAT
    logits = 3 * learned * shape.vocab_size * FLOAT
    _check(3 * FLOAT * trained + between + logits, f"steps of {tokens:,} tokens", run)


def _check(needed: int, what: str, run: Run) -> None:
    run.parameter("memory_estimate_mb", needed >> 20)
    free = available()
    if free is not None and needed > free:
        raise InvalidRequest(
            f"{what} need about {needed / 2**30:.1f} GB of memory and {free / 2**30:.1f} GB are free; a smaller "
            "train.batch or train.length, `tune: lora` or a smaller base takes less",
            "train",
        )
