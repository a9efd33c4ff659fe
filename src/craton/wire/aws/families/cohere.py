"""Cohere's Command R: {"message": ..., "chat_history": [...]}.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-cohere-command-r-plus.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from craton.core.chat import ChatRequest, Json, Message, Sampling, TextPart
from craton.core.events import ChatAnswer, Event, StopReason, Usage
from craton.wire.aws.families.protocol import Family, Heard, Pieces, convert, user

_REASONS: dict[StopReason, str] = {
    "max_tokens": "MAX_TOKENS",
    "guardrail": "ERROR_TOXIC",
    "content_filter": "ERROR_TOXIC",
}


class _Turn(Struct, forbid_unknown_fields=True):
    role: Literal["USER", "CHATBOT"]
    message: str


class _Command(Struct, forbid_unknown_fields=True):
    message: Annotated[str, Meta(min_length=1)]
    chat_history: list[_Turn] = []
    preamble: str = ""
    max_tokens: Annotated[int, Meta(ge=1, le=131_072)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.3
    p: Annotated[float, Meta(ge=0.01, le=0.99)] = 0.75
    k: Annotated[int, Meta(ge=0, le=500)] = 0
    frequency_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop_sequences: list[Annotated[str, Meta(min_length=1)]] = []


def _read(model: str, body: Json) -> ChatRequest:
    asked = convert(body, _Command)
    history = tuple(
        Message("user" if turn.role == "USER" else "assistant", (TextPart(turn.message),))
        for turn in asked.chat_history
    )
    sampling = Sampling(
        asked.max_tokens,
        asked.temperature,
        asked.p,
        asked.k or None,
        stop=tuple(asked.stop_sequences),
        seed=asked.seed,
        frequency_penalty=asked.frequency_penalty or None,
        presence_penalty=asked.presence_penalty or None,
    )
    system = (TextPart(asked.preamble),) if asked.preamble else ()
    return ChatRequest(model, (*history, *user(asked.message)), system, sampling=sampling)


def _whole(answer: ChatAnswer, body: Json, id: str) -> Json:
    [choice] = answer.choices
    return _response(choice.text(), choice.stop.reason, body, id)


def _stream(id: str, body: Json) -> Pieces:
    heard = Heard()

    def pieces(event: Event) -> list[Json]:
        begun = [] if heard.text else [{"event_type": "stream-start", "is_finished": False, "generation_id": id}]
        if text := heard.hear(event):
            return [*begun, {"event_type": "text-generation", "is_finished": False, "text": text}]
        if not isinstance(event, Usage):
            return []
        response = _response(heard.text, heard.reason, body, id)
        end = {"event_type": "stream-end", "is_finished": True, "finish_reason": response["finish_reason"]}
        return [*begun, {**end, "response": response}]

    return pieces


def _response(text: str, reason: StopReason, body: Json, id: str) -> Json:
    said = [{"role": "USER", "message": body["message"]}, {"role": "CHATBOT", "message": text}]
    return {
        "response_id": id,
        "generation_id": id,
        "text": text,
        "finish_reason": _REASONS.get(reason, "COMPLETE"),
        "chat_history": [*body.get("chat_history", []), *said],
    }


COMMAND = Family(_read, _whole, _stream)
