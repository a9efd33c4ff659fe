"""inferenceConfig and additionalModelRequestFields, read into `Sampling` and `ReasoningOptions`.

additionalModelRequestFields is free JSON that each vendor's models understand in their own way; these are the fields
whose meaning Craton knows. Like Bedrock, it refuses the others rather than pass over them.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, field

from craton.core.chat import Json, ReasoningOptions, Sampling
from craton.core.errors import InvalidRequest

T = TypeVar("T")
Effort = Literal["minimal", "low", "medium", "high"]

_FIELDS = "additionalModelRequestFields"


class _Thinking(Struct, forbid_unknown_fields=True):
    """Anthropic's `thinking` and `reasoning_config`, Nova's `reasoningConfig`."""

    type: Literal["enabled", "disabled"]
    budget_tokens: int | None = None
    effort: Effort | None = field(name="maxReasoningEffort", default=None)


class _Nova(Struct, forbid_unknown_fields=True):
    top_k: int | None = field(name="topK", default=None)


class _Additional(Struct, forbid_unknown_fields=True):
    top_k: int | None = None
    top_k_camel: int | None = field(name="topK", default=None)
    seed: int | None = None
    min_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    thinking: _Thinking | None = None
    reasoning_config: _Thinking | None = None
    reasoning_config_camel: _Thinking | None = field(name="reasoningConfig", default=None)
    reasoning_effort: Effort | None = None
    nova: _Nova | None = field(name="inferenceConfig", default=None)


_KNOWN = frozenset(_Additional.__struct_encode_fields__)


def read_sampling(config: Json, additional: Any) -> tuple[Sampling, ReasoningOptions | None]:
    """Raises InvalidRequest, also for an additional field that is not known, naming the known ones."""
    fields = _read_additional(additional)
    nova = fields.nova or _Nova()
    sampling = Sampling(
        max_tokens=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=_only_one("topK", fields.top_k, fields.top_k_camel, nova.top_k),
        min_p=fields.min_p,
        stop=tuple(config.get("stopSequences", ())),
        seed=fields.seed,
        frequency_penalty=fields.frequency_penalty,
        presence_penalty=fields.presence_penalty,
    )
    thinking = _only_one("thinking", fields.thinking, fields.reasoning_config, fields.reasoning_config_camel)
    reasoning = None
    if thinking is not None:
        reasoning = ReasoningOptions(thinking.type == "enabled", thinking.budget_tokens, thinking.effort)
    return sampling, read_effort(fields.reasoning_effort, reasoning) if fields.reasoning_effort else reasoning


def read_effort(effort: str, reasoning: ReasoningOptions | None) -> ReasoningOptions:
    """outputConfig.effort, joined with what additional fields said."""
    for known in ("minimal", "low", "medium", "high"):
        if effort == known:
            return msgspec.structs.replace(reasoning or ReasoningOptions(), effort=known)
    raise InvalidRequest("it must be one of minimal, low, medium, high", "outputConfig.effort")


def _read_additional(additional: Any) -> _Additional:
    if isinstance(additional, dict):
        unknown = sorted(additional.keys() - _KNOWN)
        if unknown:
            raise InvalidRequest(f"{unknown[0][:100]!r} is not known; known are {', '.join(sorted(_KNOWN))}", _FIELDS)
    try:
        return msgspec.convert({} if additional is None else additional, _Additional)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error).replace("`", ""), _FIELDS) from None


def _only_one(name: str, *values: T | None) -> T | None:
    given = [value for value in values if value is not None]
    if len(given) > 1:
        raise InvalidRequest(f"{name} is given twice", _FIELDS)
    return given[0] if given else None
