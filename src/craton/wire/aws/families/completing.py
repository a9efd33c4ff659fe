"""Prompts that stand for themselves, with what a model was taught to see around them: Llama, Mistral, DeepSeek.

The prompt goes to the model as it is, past its chat template. https://docs.aws.amazon.com/bedrock/latest/userguide/
model-parameters-meta.html, model-parameters-mistral-text-completion.html and model-parameters-deepseek.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta, Struct

from craton.core.chat import ChatRequest, Json, Sampling
from craton.core.events import ChatAnswer, Event, StopReason, Usage
from craton.wire.aws.families.protocol import Family, Heard, Pieces, convert, user

Prompt = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=131_072)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Warmth = Annotated[float, Meta(ge=0, le=2)]
Stops = Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=10)]
Write = Callable[[str, StopReason | None, Usage | None], Json]
"""Text, why it stopped (None: it has not), and its figures, where they are known."""


class _Llama(Struct, forbid_unknown_fields=True):
    """stop: of imported models."""

    prompt: Prompt
    max_gen_len: Count = 512
    temperature: Warmth = 0.5
    top_p: Unit = 0.9
    stop: Stops = []


class _Mistral(Struct, forbid_unknown_fields=True):
    prompt: Prompt
    max_tokens: Count = 512
    temperature: Warmth = 0.5
    top_p: Unit = 0.9
    top_k: Annotated[int, Meta(ge=1, le=200)] | None = None
    stop: Stops = []


class _DeepSeek(Struct, forbid_unknown_fields=True):
    prompt: Prompt
    max_tokens: Count = 512
    temperature: Unit = 0.5
    top_p: Unit = 0.9
    stop: Stops = []


def _read_llama(model: str, body: Json) -> ChatRequest:
    asked = convert(body, _Llama)
    return _request(
        model, asked.prompt, Sampling(asked.max_gen_len, asked.temperature, asked.top_p, stop=tuple(asked.stop))
    )


def _read_mistral(model: str, body: Json) -> ChatRequest:
    asked = convert(body, _Mistral)
    return _request(
        model,
        asked.prompt,
        Sampling(asked.max_tokens, asked.temperature, asked.top_p, asked.top_k, stop=tuple(asked.stop)),
    )


def _read_deepseek(model: str, body: Json) -> ChatRequest:
    asked = convert(body, _DeepSeek)
    return _request(
        model, asked.prompt, Sampling(asked.max_tokens, asked.temperature, asked.top_p, stop=tuple(asked.stop))
    )


def _request(model: str, prompt: str, sampling: Sampling) -> ChatRequest:
    return ChatRequest(model, user(prompt), sampling=sampling, form="text")


def _llama(text: str, reason: StopReason | None, usage: Usage | None) -> Json:
    return {
        "generation": text,
        "prompt_token_count": usage.input if usage else None,
        "generation_token_count": usage.output if usage else None,
        "stop_reason": _stopped(reason),
    }


def _mistral(text: str, reason: StopReason | None, _usage: Usage | None) -> Json:
    return {"outputs": [{"text": text, "stop_reason": _stopped(reason)}]}


def _deepseek(text: str, reason: StopReason | None, _usage: Usage | None) -> Json:
    return {"choices": [{"text": text, "stop_reason": _stopped(reason)}]}


def _stopped(reason: StopReason | None) -> str | None:
    return None if reason is None else "length" if reason == "max_tokens" else "stop"


def _family(read: Callable[[str, Json], ChatRequest], write: Write) -> Family:
    """A piece of a stream has the members of a whole answer; the last one has why it stopped and the figures."""

    def whole(answer: ChatAnswer, _body: Json, _id: str) -> Json:
        [choice] = answer.choices
        return write(choice.text(), choice.stop.reason, answer.usage)

    def stream(_id: str, _body: Json) -> Pieces:
        heard = Heard()

        def pieces(event: Event) -> list[Json]:
            if text := heard.hear(event):
                return [write(text, None, None)]
            return [write("", heard.reason, event)] if isinstance(event, Usage) else []

        return pieces

    return Family(read, whole, stream)


LLAMA = _family(_read_llama, _llama)
MISTRAL = _family(_read_mistral, _mistral)
DEEPSEEK = _family(_read_deepseek, _deepseek)
