"""POST /completions: the body -> a `ChatRequest` whose text goes on as it stands, and its answer out.

With `suffix` the model fills the gap between the prompt and it, where it has marks for that (Code Llama).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import CratonError, InvalidRequest
from craton.core.events import ChatAnswer, Delta, Event, Stop, TokenLogprob, Usage
from craton.wire.body import Refusal, read_body
from craton.wire.http import encode_json
from craton.wire.openai.errors import describe
from craton.wire.openai.members import REFUSED as OF_CHAT
from craton.wire.openai.requests import Bias, Count, Penalty, Probability, Seed, StopWords, StreamOptions, TokenId
from craton.wire.openai.write_chat import FINISH_REASONS, Head, write_usage

USUAL_TOKENS = 16  # as OpenAI has it
REFUSED = OF_CHAT | {"echo": Refusal((False,), "The prompt is yours already."), "n": Refusal((1,))}


class CompletionBody(Struct, frozen=True):
    """top_k and min_p are not OpenAI's; llama.cpp's and vLLM's users send them."""

    model: Annotated[str, Meta(min_length=1)]
    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=1)]
    suffix: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Probability | None = None
    stop: StopWords | None = None
    seed: Seed | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[TokenId, Bias] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None


class AskedText(Struct, frozen=True):
    """What is to be answered, and in which form."""

    request: ChatRequest
    stream: bool
    include_usage: bool


def read_completion(body: bytes) -> AskedText:
    """Raises InvalidRequest and Unsupported."""
    asked = read_body(_DECODER, body, REFUSED)
    prompt = asked.prompt if isinstance(asked.prompt, str) else asked.prompt[0]
    if not prompt and not asked.suffix:
        raise InvalidRequest("it is empty", "prompt")
    stop, options = asked.stop, asked.stream_options
    sampling = Sampling(
        max_tokens=asked.max_tokens or USUAL_TOKENS,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k if asked.top_k and asked.top_k > 0 else None,
        min_p=asked.min_p,
        stop=() if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
        seed=asked.seed,
        logprobs=asked.logprobs,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
        logit_bias=asked.logit_bias or None,
    )
    gap = asked.suffix is not None
    texts = (TextPart(prompt), TextPart(asked.suffix or "")) if gap else (TextPart(prompt),)
    request = ChatRequest(asked.model, (Message("user", texts),), sampling=sampling, form="gap" if gap else "text")
    return AskedText(request, bool(asked.stream), options is not None and bool(options.include_usage))


def write_completion(answer: ChatAnswer, head: Head) -> bytes:
    """The `text_completion` object."""
    [choice] = answer.choices
    reason = FINISH_REASONS[choice.stop.reason]
    written = _object(head, choice.text(), reason, _probabilities(choice.logprobs))
    return encode_json({**written, "usage": write_usage(answer.usage)})


class CompletionWriter:
    """Writes the events of one answer as chunks of a text (a `StreamWriter`)."""

    def __init__(self, head: Head, include_usage: bool) -> None:
        self._head, self._include_usage = head, include_usage
        self._told = 0  # characters

    def write(self, event: Event) -> bytes:
        if isinstance(event, Delta) and (event.text or event.logprobs):
            logprobs = _probabilities(event.logprobs, self._told)
            self._told += len(event.text)
            return _data(_object(self._head, event.text, None, logprobs))
        if isinstance(event, Stop):
            return _data(_object(self._head, "", FINISH_REASONS[event.reason], None))
        if isinstance(event, Usage):
            usage = {**_object(self._head, "", None, None), "choices": [], "usage": write_usage(event)}
            return (_data(usage) if self._include_usage else b"") + b"data: [DONE]\n\n"
        return b""

    def write_error(self, error: CratonError) -> bytes:
        return _data(describe(error)[1])


def _object(head: Head, text: str, reason: str | None, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "choices": [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": reason}],
    }


def _probabilities(tokens: tuple[TokenLogprob, ...], begun: int = 0) -> dict[str, Any] | None:
    """begun: characters that came before."""
    if not tokens:
        return None
    offsets, at = [], begun
    for token in tokens:
        offsets.append(at)
        at += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_likeliest(token) for token in tokens],
        "text_offset": offsets,
    }


def _likeliest(token: TokenLogprob) -> dict[str, float]:
    """Several tokens may have one text (halves of letters have none): the likeliest of them is told."""
    found: dict[str, float] = {}
    for other in token.top:
        found.setdefault(other.token, other.logprob)
    return found


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"


_DECODER = msgspec.json.Decoder(CompletionBody)
