"""What a classifier's numbers mean: config.json's labels, and what makes scores of logits."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct

from craton.core.errors import Damaged
from craton.engines.bert.arrays import Array
from craton.engines.bert.files import require

Function = Literal["softmax", "sigmoid", "none"]

MAX_LABELS = 100_000
_MAX_NAME = 500  # characters


class Labels(Struct, frozen=True):
    """names: by index. function: what makes scores of its logits when nobody says otherwise."""

    names: tuple[str, ...]
    function: Function


class _Config(Struct):
    id2label: dict[str, str] | None = None
    num_labels: int | None = None
    problem_type: str | None = None


def read_labels(files: dict[str, str]) -> Labels:
    """As transformers reads them: without names they are LABEL_0, LABEL_1 ...; without a number there are two.

    A text has one label (softmax), unless the configuration says that it may have several, or there is but one
    (sigmoid); a regression's numbers stay as they are. Raises Damaged.
    """
    read = require(files, "config.json", _Config)
    count = len(read.id2label) if read.id2label else read.num_labels or 2
    if not 0 < count <= MAX_LABELS:
        raise Damaged("config.json", f"a model with {count} labels")
    named = read.id2label or {str(index): f"LABEL_{index}" for index in range(count)}
    if set(named) != {str(index) for index in range(count)}:
        raise Damaged("config.json", "id2label does not number its labels from 0 on")
    if max(map(len, named.values())) > _MAX_NAME:
        raise Damaged("config.json", f"a label's name is longer than {_MAX_NAME} characters")
    names = tuple(named[str(index)] for index in range(count))
    functions: dict[str, Function] = {
        "single_label_classification": "softmax",
        "multi_label_classification": "sigmoid",
        "regression": "none",
    }
    usual: Function = "softmax" if count > 1 else "sigmoid"
    if read.problem_type is not None and read.problem_type not in functions:
        raise Damaged("config.json", f"there is no problem_type {read.problem_type[:40]!r}")
    return Labels(names, functions[read.problem_type] if read.problem_type else usual)


def apply(function: Function, logits: Array) -> Array:
    """Scores of one input."""
    if function == "none":
        return logits
    if function == "sigmoid":
        small = np.exp(-np.abs(logits))  # at most 1, so that nothing overflows
        return np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
    powers = np.exp(logits - logits.max())
    scores: Array = powers / powers.sum()
    return scores
