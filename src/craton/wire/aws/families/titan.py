"""Amazon Titan's texts: {"inputText": ..., "textGenerationConfig": {...}}, which is told what to do.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from craton.core.chat import ChatRequest, Json, Sampling
from craton.core.events import ChatAnswer, Event, StopReason, Usage
from craton.wire.aws.families.protocol import Family, Heard, Pieces, convert, user

_REASONS: dict[StopReason, str] = {"max_tokens": "LENGTH", "stop_sequence": "STOP_CRITERIA_MET"}
_FILTERED = frozenset({"guardrail", "content_filter"})


class _Config(Struct, forbid_unknown_fields=True, frozen=True):
    maxTokenCount: Annotated[int, Meta(ge=1, le=131_072)] = 512
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.7
    topP: Annotated[float, Meta(ge=0, le=1)] = 0.9
    stopSequences: list[Annotated[str, Meta(min_length=1)]] = []


class _Titan(Struct, forbid_unknown_fields=True):
    inputText: Annotated[str, Meta(min_length=1)]
    textGenerationConfig: _Config = _Config()


def _read(model: str, body: Json) -> ChatRequest:
    asked = convert(body, _Titan)
    config = asked.textGenerationConfig
    sampling = Sampling(config.maxTokenCount, config.temperature, config.topP or None, stop=tuple(config.stopSequences))
    return ChatRequest(model, user(asked.inputText), sampling=sampling)


def _whole(answer: ChatAnswer, _body: Json, _id: str) -> Json:
    [choice] = answer.choices
    result = {
        "tokenCount": answer.usage.output,
        "outputText": choice.text(),
        "completionReason": _reason(choice.stop.reason),
    }
    return {"inputTextTokenCount": answer.usage.input, "results": [result]}


def _stream(_id: str, _body: Json) -> Pieces:
    heard = Heard()

    def pieces(event: Event) -> list[Json]:
        if text := heard.hear(event):
            return [_piece(text)]
        return [_piece("", _reason(heard.reason), event)] if isinstance(event, Usage) else []

    return pieces


def _piece(text: str, reason: str | None = None, usage: Usage | None = None) -> Json:
    return {
        "outputText": text,
        "index": 0,
        "totalOutputTextTokenCount": usage.output if usage else None,
        "completionReason": reason,
        "inputTextTokenCount": usage.input if usage else None,
    }


def _reason(reason: StopReason) -> str:
    return "CONTENT_FILTERED" if reason in _FILTERED else _REASONS.get(reason, "FINISH")


TITAN = Family(_read, _whole, _stream)
