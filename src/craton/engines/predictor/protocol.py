"""What every trained model is once it is in memory, whichever library trained it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from craton.core.predicting import PredictVerb, Signature

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Column = np.ndarray[Any, Any]
    """One output for all rows: shape (rows,), or (rows, components) for vectors. Labels have dtype object."""


class Predictor(Protocol):
    """Deterministic: the same rows give the same answers, in this process and in any that loads what was saved.

    A class of predictors also has `load(folder: Path, manifest: Manifest) -> Self`, the opposite of `save`.
    """

    @property
    def signature(self) -> Signature: ...

    def run(self, verb: PredictVerb, rows: pd.DataFrame) -> dict[str, Column]:
        """rows: columns as in the signature, checked already; texts of a field with an embedder are its vectors.

        Outputs by name, in the signature's order. Verbs that the signature lacks are never asked for.
        """
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Writes its weights into the empty folder, in native formats (no pickle). Returns what its loader needs beside
        them (JSON): the manifest keeps it as `parameters`."""
        ...


class Learner(Predictor, Protocol):
    """A predictor that learns from single rows while it serves."""

    def learn(self, rows: pd.DataFrame, target: list[Any]) -> dict[str, Any]:
        """Takes the rows in, in their order. Returns what it knows now: {"seen": 120, "drift": false, ...}."""
        ...


@runtime_checkable
class Shared(Protocol):
    """A predictor that several threads may ask at once, and learns nothing meanwhile.

    Worth it where the library works without Python's lock: rows shared out to its own threads wait for the slowest of
    them, whole batches side by side do not."""

    @property
    def threads(self) -> int:
        """How many."""
        ...
