"""Hyperparameters as Bedrock has them, texts by name, read into places of a specification.

The names are those of Bedrock's own models where it has one for the thing, and alike where it has none (`loraRank`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from craton.core.chat import Json
from craton.core.errors import InvalidRequest
from craton.training.specification.suggesting import did_you_mean


class _Value(Protocol):
    """path: the place in the specification ("train.epochs")."""

    @property
    def path(self) -> str: ...

    @property
    def allowed(self) -> str:
        """For people."""
        ...

    def read(self, text: str) -> Any:
        """Raises ValueError, whose text says what is allowed."""
        ...


class _Number(Struct, frozen=True):
    path: str
    low: float
    high: float
    whole: bool = True
    scale: float = 1.0

    @property
    def allowed(self) -> str:
        if self.whole:
            return f"a whole number from {self.low:.0f} to {self.high:.0f}"
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, text: str) -> float:
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            raise ValueError(self.allowed) from None
        if not self.low <= value <= self.high:
            raise ValueError(self.allowed)
        return value * self.scale if self.scale != 1 else value


class _Choice(Struct, frozen=True):
    path: str
    choices: Mapping[str, Any]

    @property
    def allowed(self) -> str:
        return f"one of {', '.join(self.choices)}"

    def read(self, text: str) -> Any:
        try:
            return self.choices[text.strip().lower()]
        except KeyError:
            raise ValueError(self.allowed) from None


class _Text(Struct, frozen=True):
    path: str

    @property
    def allowed(self) -> str:
        return "a text"

    def read(self, text: str) -> str:
        if not text.strip():
            raise ValueError(self.allowed)
        return text


class _Words(Struct, frozen=True):
    path: str

    @property
    def allowed(self) -> str:
        return "names with commas between them"

    def read(self, text: str) -> list[str]:
        words = [word.strip() for word in text.split(",")]
        if not all(words):
            raise ValueError(self.allowed)
        return words


_BOOLEANS = {"true": True, "false": False}
_TRAINING: dict[str, _Value] = {
    "epochCount": _Number("train.epochs", 1, 1000),
    "maxSteps": _Number("train.steps", 1, 10_000_000),
    "batchSize": _Number("train.batch", 1, 1024),
    "gradientAccumulationSteps": _Number("train.accumulate", 1, 1024),
    "learningRate": _Number("train.learning_rate", 1e-8, 1, whole=False),
    "learningRateWarmupRatio": _Number("train.warmup", 0, 0.9, whole=False),
    "learningRateWarmupSteps": _Number("train.warmup", 0, 1_000_000),
    "learningRateSchedule": _Choice("train.schedule", {name: name for name in ("constant", "cosine", "linear")}),
    "weightDecay": _Number("train.weight_decay", 0, 1, whole=False),
    "gradientClip": _Number("train.clip", 1e-3, 1e3, whole=False),
    "precision": _Choice("train.precision", {name: name for name in ("auto", "bfloat16", "float32")}),
    "maxLength": _Number("train.length", 8, 131_072),
    "maxRecords": _Number("data.limit", 1, 1_000_000_000),
    "evalPercentage": _Number("data.share", 0, 50, whole=False, scale=0.01),
    "seed": _Number("seed", 0, (1 << 32) - 1),
    "tuningType": _Choice("tune", {"lora": "lora", "full": "full"}),
    "loraRank": _Number("lora.rank", 1, 256),
    "loraAlpha": _Number("lora.alpha", 1e-3, 4096, whole=False),
    "loraDropout": _Number("lora.dropout", 0, 0.9, whole=False),
    "loraModules": _Words("lora.modules"),
}
_SUPERVISED: dict[str, _Value] = {
    "earlyStoppingPatience": _Number("train.patience", 1, 1000),
    "packing": _Choice("train.packing", _BOOLEANS),
}
_SAMPLED: dict[str, _Value] = {"temperature": _Number("temperature", 0, 5, whole=False)}
KNOWN: dict[str, dict[str, _Value]] = {
    "fine-tuning": _TRAINING | _SUPERVISED,
    "continued-pretraining": _TRAINING | _SUPERVISED,
    "distillation": _TRAINING | _SUPERVISED | {"temperature": _Number("sampling.temperature", 0, 5, whole=False)},
    "preference-tuning": _TRAINING | {"beta": _Number("beta", 0, 100, whole=False)},
    "reward-tuning": _TRAINING
    | _SAMPLED
    | {
        "trainingSamplePerPrompt": _Number("group", 2, 64),
        "inferenceMaxTokens": _Number("tokens", 1, 1 << 17),
        "beta": _Number("beta", 0, 100, whole=False),
        "graderPython": _Text("grader.python"),
        "graderUrl": _Text("grader.url"),
        "graderJudge": _Text("grader.judge"),
        "graderInstruction": _Text("grader.instruction"),
        "graderTimeout": _Number("grader.timeout", 1, 3600, whole=False),
    },
}
"""By method of the specification."""


def place_hyperparameters(document: Json, method: str, given: Mapping[str, str]) -> None:
    """Puts them into the document. Raises InvalidRequest that names the range, or the nearest name."""
    known = KNOWN[method]
    for name, text in given.items():
        value = known.get(name)
        if value is None:
            hint = did_you_mean(name, known) or f"known are {', '.join(known)}"
            raise InvalidRequest(
                f"there is no such hyperparameter of {method}; {hint}", f"hyperParameters.{name[:100]}"
            )
        try:
            place(document, value.path, value.read(text))
        except ValueError as error:
            raise InvalidRequest(f"{text[:40]!r} is not {error}", f"hyperParameters.{name}") from None


def place(document: Json, path: str, value: Any) -> None:
    *parts, last = path.split(".")
    for part in parts:
        document = document.setdefault(part, {})
    document[last] = value
