"""The bodies of tasks: `inputs`, and `parameters` beside it (feature extraction has them at the top).

Source: the specifications of @huggingface/tasks, as huggingface_hub `inference/_generated/types` holds them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from craton.core.errors import InvalidRequest
from craton.core.model import ClassifyRequest, FillRequest
from craton.wire.body import Refusal, read_body

MAX_INPUTS = 2048
GENERATION = "text-generation"

_REFUSED = {
    "normalize": Refusal((True,), "Vectors always have unit length."),
    "prompt_name": Refusal(hint="Put the prompt before the text."),
    "encoding_format": Refusal(("float",), "POST /v1/embeddings can send base64."),
    "truncation_direction": Refusal(("right", "Right"), "Texts are cut at their end."),
}
_SPOKEN = {
    "embed": "feature-extraction",
    "classify": "text-classification",
    "fill": "fill-mask",
    "chat": GENERATION,
}
"""What a model of this verb is asked for when the body does not tell."""

_Count = Annotated[int, Meta(ge=1, le=1 << 20)]


class _Features(Struct):
    inputs: str | list[str]
    dimensions: _Count | None = None
    truncate: bool | None = None


class _Sentences(Struct):
    source_sentence: str
    sentences: list[str]


class _Similarity(Struct):
    inputs: _Sentences


class _Classifying(Struct):
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    top_k: _Count | None = None
    truncation: bool | None = None


class _Classification(Struct):
    inputs: str | list[str]
    parameters: _Classifying = field(default_factory=_Classifying)


class _Filling(Struct):
    targets: list[str] = []
    top_k: _Count | None = None


class _Masked(Struct):
    inputs: str | list[str]
    parameters: _Filling = field(default_factory=_Filling)


class _Any(Struct):
    inputs: Any = None


class Texts(Struct, frozen=True):
    """many: whether a list was sent, so that one comes back."""

    inputs: tuple[str, ...]
    many: bool
    dimensions: int | None
    truncate: bool


class Similar(Struct, frozen=True):
    source: str
    sentences: tuple[str, ...]


_FEATURES = msgspec.json.Decoder(_Features)
_SIMILARITY = msgspec.json.Decoder(_Similarity)
_CLASSIFICATION = msgspec.json.Decoder(_Classification)
_MASKED = msgspec.json.Decoder(_Masked)
_ANY = msgspec.json.Decoder(_Any)


def task_of(body: bytes, verbs: Collection[str]) -> str:
    """The task of a body that was sent to a model's plain URL. Raises InvalidRequest."""
    inputs = read_body(_ANY, body, {}).inputs
    if isinstance(inputs, dict) and "source_sentence" in inputs:
        return "sentence-similarity"
    spoken = (task for verb, task in _SPOKEN.items() if verb in verbs)
    return next(spoken, "feature-extraction")  # of a model that nothing runs: what refuses that says why


def read_texts(body: bytes) -> Texts:
    asked = read_body(_FEATURES, body, _REFUSED)
    many = isinstance(asked.inputs, list)
    return Texts(_texts(asked.inputs, "inputs"), many, asked.dimensions, bool(asked.truncate))


def read_similar(body: bytes) -> Similar:
    asked = read_body(_SIMILARITY, body, {}).inputs
    if not asked.source_sentence:
        raise InvalidRequest("it is empty", "inputs.source_sentence")
    return Similar(asked.source_sentence, _texts(asked.sentences, "inputs.sentences"))


def read_classification(body: bytes, model: str) -> ClassifyRequest:
    asked = read_body(_CLASSIFICATION, body, {})
    how = asked.parameters
    return ClassifyRequest(
        model, _texts(asked.inputs, "inputs"), how.function_to_apply, how.top_k, bool(how.truncation)
    )


def read_masked(body: bytes, model: str) -> tuple[FillRequest, bool]:
    """And whether a list of texts was sent, so that a list comes back."""
    asked = read_body(_MASKED, body, {})
    targets, top = tuple(asked.parameters.targets), asked.parameters.top_k
    inputs = _texts(asked.inputs, "inputs")
    filling = FillRequest(model, inputs, targets) if top is None else FillRequest(model, inputs, targets, top)
    return filling, isinstance(asked.inputs, list)


def _texts(given: str | list[str], field: str) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not 0 < len(texts) <= MAX_INPUTS:
        raise InvalidRequest(f"from 1 to {MAX_INPUTS} texts, got {len(texts)}", field)
    for index, text in enumerate(texts):
        if not text:
            raise InvalidRequest("it is empty", field if isinstance(given, str) else f"{field}[{index}]")
    return texts
