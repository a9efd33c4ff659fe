"""The tuning methods. Each is a function `train(spec, given, run) -> Trained`, imported when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from craton.children.importing import uncollected
from craton.core.errors import Unsupported
from craton.training.protocol import Run, Trained
from craton.training.specification import tuning as known
from craton.training.specification.reading import method_of
from craton.training.tuning.given import Given

Train = Callable[[Any, Given, Run], Trained]

_ROOT = "craton.training.tuning"
TRAINERS: dict[type[known.Tuned], str] = {
    known.FineTuning: f"{_ROOT}.training",
    known.ContinuedPretraining: f"{_ROOT}.training",
    known.Pretraining: f"{_ROOT}.training",
    known.PreferenceTuning: f"{_ROOT}.preference",
    known.RewardTuning: f"{_ROOT}.reward",
    known.Distillation: f"{_ROOT}.distillation",
}
"""A method's structure -> the module whose `train` it is."""

LIBRARIES: dict[type[known.Tuned], tuple[str, ...]] = {known.PreferenceTuning: ("trl",), known.RewardTuning: ("trl",)}
"""What single methods take besides."""


def trainer_for(spec: known.Tuned) -> Train:
    """Raises Unsupported when a library is not installed."""
    try:
        with uncollected():
            for library in ("torch", "transformers", "peft", *LIBRARIES.get(type(spec), ())):
                import_module(library)
            found: Train = import_module(TRAINERS[type(spec)]).train
    except ModuleNotFoundError as error:
        raise Unsupported(f"{method_of(spec)} here", f"Install craton[train] ({error.name}).") from error
    return found
