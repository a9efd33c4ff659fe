"""Which hyperparameters a tuning takes. What is out of range is refused, with the range, before anything runs."""

from __future__ import annotations

import math

from craton.core.errors import InvalidRequest
from craton.training.specification.tuning import (
    Architecture,
    Grader,
    PreferenceTuning,
    Pretraining,
    RewardTuning,
    Tuned,
)

FEWEST = 256 + 3  # pieces of a vocabulary: the bytes, and three signs

RANGES: dict[str, tuple[float, float]] = {
    "train.epochs": (0.001, 1000),
    "train.steps": (1, 10_000_000),
    "train.batch": (1, 1024),
    "train.accumulate": (1, 1024),
    "train.learning_rate": (1e-8, 1.0),
    "train.warmup": (0.0, 1_000_000),
    "train.weight_decay": (0.0, 1.0),
    "train.clip": (1e-4, 1e4),
    "train.length": (8, 131072),
    "train.patience": (1, 1000),
    "train.processes": (1, 64),
    "lora.rank": (1, 512),
    "lora.alpha": (0.01, 10_000),
    "lora.dropout": (0.0, 0.9),
    "data.share": (0.0, 0.9),
    "data.limit": (1, 1_000_000_000),
}
"""Place in the specification -> least and largest value. None is always allowed where it is the default."""

OWN: dict[str, tuple[float, float]] = {
    "beta": (0.0, 100.0),
    "group": (2, 256),
    "tokens": (1, 32768),
    "temperature": (0.01, 10.0),
}
"""The same, of what single methods have."""

LONGEST_GRADING = 3600  # seconds of a batch


def check_ranges(spec: Tuned) -> None:
    """Raises InvalidRequest."""
    for place, (low, high) in RANGES.items():
        part, name = place.split(".")
        value = getattr(getattr(spec, part), name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise InvalidRequest(f"{value:g} is out of range: {low:g} to {high:g}", place)
    for name, (low, high) in OWN.items():
        value = getattr(spec, name, None)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise InvalidRequest(f"{value:g} is out of range: {low:g} to {high:g}", name)
    if isinstance(spec, RewardTuning):
        check_grader(spec.grader)
    if isinstance(spec, PreferenceTuning) and not spec.beta:
        raise InvalidRequest("0 would let it go anywhere: above 0 to 100", "beta")
    if isinstance(spec, RewardTuning | PreferenceTuning) and spec.train.patience is not None:
        raise InvalidRequest("this method has no validations on the way that it could wait for", "train.patience")
    if isinstance(spec, RewardTuning | PreferenceTuning) and spec.train.processes > 1:
        raise InvalidRequest("this method runs in one process", "train.processes")
    if spec.train.processes > spec.train.batch:
        raise InvalidRequest(
            f"{spec.train.batch} sequences a step (train.batch) cannot be shared by {spec.train.processes}",
            "train.processes",
        )
    if not spec.lora.modules:
        raise InvalidRequest("names no part of the layers", "lora.modules")
    if isinstance(spec, Pretraining):
        check_architecture(spec.model)
        if spec.train.length > spec.model.context:
            raise InvalidRequest(
                f"{spec.train.length} tokens are more than the context of {spec.model.context} (model.context)",
                "train.length",
            )


def check_grader(grader: Grader) -> None:
    """Raises InvalidRequest when it is not exactly one, or cannot be."""
    kinds = [name for name in ("python", "url", "judge") if getattr(grader, name)]
    if len(kinds) != 1:
        said = " and ".join(kinds) or "none"
        raise InvalidRequest(f"name one of python, url and judge; there is {said}", "grader")
    if grader.instruction and not grader.judge:
        raise InvalidRequest("an instruction is for a judge", "grader.instruction")
    if not 0 < grader.timeout <= LONGEST_GRADING:
        raise InvalidRequest(f"must be above 0 and at most {LONGEST_GRADING} seconds", "grader.timeout")


def check_architecture(shape: Architecture) -> None:
    """Raises InvalidRequest with the range."""
    bounds = {
        "layers": (1, 128),
        "width": (8, 16384),
        "heads": (1, 128),
        "context": (8, 131072),
        "vocabulary": (FEWEST, 262144),
    }
    for name, (low, high) in bounds.items():
        if not low <= getattr(shape, name) <= high:
            raise InvalidRequest(f"{getattr(shape, name)} is out of range: {low} to {high}", f"model.{name}")
    if shape.width % (2 * shape.heads):
        raise InvalidRequest(f"width {shape.width} is not an even multiple of heads {shape.heads}", "model.width")
    if shape.hidden is not None and not 8 <= shape.hidden <= 65536:
        raise InvalidRequest(f"{shape.hidden} is out of range: 8 to 65536", "model.hidden")
