"""The methods. Each is a function `train(spec, tables, run) -> Trained`, imported when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from craton.children.importing import uncollected
from craton.core.errors import Unsupported
from craton.training.protocol import Run, Tables, Trained
from craton.training.specification import methods as known
from craton.training.specification.reading import method_of

Train = Callable[[Any, Tables | None, Run], Trained]
"""tables: None for reinforcement, whose data is the environment."""

_ROOT = "craton.training.methods"
TRAINERS: dict[type[Any], str] = {
    known.Classification: f"{_ROOT}.supervised.training",
    known.Regression: f"{_ROOT}.supervised.training",
    known.Clustering: f"{_ROOT}.unsupervised.clustering",
    known.Reduction: f"{_ROOT}.unsupervised.reduction",
    known.Topics: f"{_ROOT}.unsupervised.topics",
    known.SemiSupervised: f"{_ROOT}.semi_supervised.training",
    known.Ensemble: f"{_ROOT}.ensemble.training",
    known.Reinforcement: f"{_ROOT}.reinforcement.training",
    known.Deep: f"{_ROOT}.deep.training",
    known.Online: f"{_ROOT}.online.training",
    known.Transfer: f"{_ROOT}.transfer.training",
}
"""A method's structure -> the module whose `train` it is."""


LIBRARIES = {"lightgbm": ("lightgbm",), "xgboost": ("xgboost",)}
"""A learner -> what it is imported from, where that takes long."""


def trainer_for(spec: known.Specification) -> Train:
    """Imports what the method takes. Raises Unsupported when a library is not installed."""
    try:
        with uncollected():
            for library in ("pandas", *LIBRARIES.get(spec.model.use, ())):
                import_module(library)
            found: Train = import_module(TRAINERS[type(spec)]).train
    except ModuleNotFoundError as error:
        raise Unsupported(f"Training by {method_of(spec)} here", f"Install craton[train] ({error.name}).") from error
    return found
