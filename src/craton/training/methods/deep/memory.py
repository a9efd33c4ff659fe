"""How much a training will take, roughly, before it takes it."""

from __future__ import annotations

from pathlib import Path

from craton.core.errors import InvalidRequest
from craton.engines.predictor.nets.architecture import AnyArchitecture, Cnn, Mlp, Rnn, Shape
from craton.training.protocol import Run

FLOAT = 4  # bytes
COPIES = 5  # of each weight: itself, its gradient, AdamW's two moments, the best so far
LIBRARIES = 300 << 20  # torch itself


def estimate(architecture: AnyArchitecture, shape: Shape, parameters: int, rows: int, batch: int) -> int:
    """Bytes: the rows, the weights with all that learning keeps of them, the values of one batch between the layers."""
    values = 1
    for size in shape.inputs:
        values *= size
    held = rows * values * (8 if shape.tokens else FLOAT)
    return LIBRARIES + held + COPIES * FLOAT * parameters + batch * FLOAT * _between(architecture, shape)


def _between(architecture: AnyArchitecture, shape: Shape) -> int:
    """Values that one row leaves for the way back; counted generously."""
    if isinstance(architecture, Mlp):
        return 3 * (2 * shape.inputs[0] + sum(architecture.hidden))
    if isinstance(architecture, Cnn):
        height, across = shape.inputs[1:]
        found = 0
        for channels in architecture.channels:
            found += 7 * channels * height * across
            height, across = -(-height // 2), -(-across // 2)
        return found
    steps, size = shape.inputs[0], architecture.size
    if isinstance(architecture, Rnn):
        return steps * size * architecture.layers * (16 if architecture.bidirectional else 8)
    return architecture.layers * steps * (24 * size + 2 * architecture.heads * steps)


def check_memory(needed: int, run: Run, field: str) -> None:
    """Raises InvalidRequest, with the keys that change it, when there is clearly too little."""
    run.parameter("memory_estimate_mb", needed >> 20)
    free = available()
    if free is not None and needed > free:
        raise InvalidRequest(
            f"this needs about {needed / 2**30:.1f} GB of memory and {free / 2**30:.1f} GB are free; "
            "a smaller train.batch, a shorter length or a smaller network take less",
            field,
        )


def available() -> int | None:
    """Bytes, of the machine or of the control group that bounds this process; None where neither says."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text("ascii").strip()
        if limit != "max":
            found.append(int(limit) - int((group / "memory.current").read_text("ascii")))
    except (OSError, ValueError):
        pass
    return min(found, default=None)
