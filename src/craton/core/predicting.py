"""Trained models as they are asked: rows in, predictions out, both described by a signature."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

PredictVerb = Literal["predict", "predict_proba", "transform", "act", "learn"]
"""predict: a label, a number or a cluster for each row. predict_proba: a probability for each class. transform: the row
in other coordinates. act: the action of a policy for an observation. learn: take rows with their answers in."""

FieldKind = Literal["number", "integer", "boolean", "category", "text", "time", "vector", "image"]


class Field(Struct, frozen=True, omit_defaults=True):
    """One column of what a model takes or gives.

    categories: the values a category may have, in the order of the model's own numbering. shape: of a vector
    (components,) or an image (height, width, channels). nullable: may be missing; the model knows what to do then.
    embedder: the model, with its revision, whose vectors of this text the predictor takes ("all-minilm-l6-v2@abc...").
    """

    name: str
    kind: FieldKind
    nullable: bool = False
    categories: tuple[str | int | bool, ...] = ()
    shape: tuple[int, ...] = ()
    embedder: str = ""


class Signature(Struct, frozen=True, omit_defaults=True):
    """What a predictor takes and, for each verb that it knows, gives. target: what `learn` takes beside the inputs."""

    inputs: tuple[Field, ...]
    outputs: dict[PredictVerb, tuple[Field, ...]]
    target: Field | None = None


BlockKind = Literal["<f8", "<f4", "<i8", "<i4"]
"""Numbers in memory as numpy names them: little-endian, their size in bytes at the end."""


class Block(Struct, frozen=True, omit_defaults=True):
    """A table of numbers, row by row without gaps: quicker to pass on and to ask about than columns. NaN is missing."""

    width: int
    numbers: bytes
    kind: BlockKind = "<f8"

    @property
    def rows(self) -> int:
        return len(self.numbers) // (int(self.kind[-1]) * self.width)


class PredictRequest(Struct, frozen=True, omit_defaults=True, tag="predict"):
    """Rows, held by columns, all of the same length, or as one block of numbers. Missing values are None.

    names: of the columns; empty when they come in the signature's own order. A column of numbers may be packed on its
    way to a worker: float64, little-endian (`engines.predictor.arranging.packed`).
    """

    model: str
    verb: PredictVerb
    columns: tuple[list[Any] | bytes, ...] | Block
    names: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        if isinstance(self.columns, Block):
            return self.columns.rows
        if not self.columns:
            return 0
        first = self.columns[0]
        return len(first) // 8 if isinstance(first, bytes) else len(first)


class SnapshotRequest(Struct, frozen=True, omit_defaults=True, tag="snapshot"):
    """Write what the model has learned so far into the empty folder; state["parameters"] of the answer are the
    manifest's."""

    model: str
    folder: str


PredictorRequest = PredictRequest | SnapshotRequest


class PredictAnswer(Struct, frozen=True, omit_defaults=True):
    """columns: in the order of the signature's outputs of that verb, each as long as the request had rows.

    A vector is a list of numbers. `learn` gives no columns; state says what the model knows after it ("seen", "drift").
    counted: how many rows fell into each bin of the training rows, by field: of this request and of those that ran with
    it, whose answers say nothing then.
    """

    names: tuple[str, ...]
    columns: tuple[list[Any], ...]
    state: dict[str, Any] = {}
    counted: dict[str, list[int]] = {}
