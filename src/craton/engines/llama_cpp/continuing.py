"""Which tokens may come next, and how likely each is."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.model import NextRequest, Score

MAX_TOP = 200
MAX_INPUTS = 32
MAX_CHARACTERS = 200_000
_LETTER = "a"
_SURE = 1000  # a bias beside which nothing else is chosen


def check(request: NextRequest) -> None:
    """Raises InvalidRequest, TooLarge."""
    if not 1 <= len(request.inputs) <= MAX_INPUTS:
        raise InvalidRequest(f"from 1 to {MAX_INPUTS} texts", "inputs")
    if any(not text for text in request.inputs):
        raise InvalidRequest("a text is empty", "inputs")
    if (size := sum(map(len, request.inputs))) > MAX_CHARACTERS:
        raise TooLarge("inputs", MAX_CHARACTERS, size, "characters")
    if not 1 <= request.top <= MAX_TOP:
        raise InvalidRequest(f"from 1 to {MAX_TOP}", "top")


async def body(text: str, top: int, tokens: Callable[[str], Awaitable[list[int]]]) -> Json:
    """A request for one token, with the probabilities of `top` at its place: those of the model, before any sampling.

    llama.cpp says nothing where the token that it chose is a part of a letter. So a letter is chosen, by a bias, which
    comes after the probabilities are taken.
    """
    letter = (await tokens(_LETTER))[-1]
    return {
        "prompt": text,
        "n_predict": 1,
        "n_probs": top,
        "temperature": 0,
        "logit_bias": [[letter, _SURE]],
    }


def scores(chunk: Json) -> tuple[Score, ...]:
    """The likeliest first; empty for a chunk without any."""
    for choice in chunk.get("choices", ()):
        for place in (choice.get("logprobs") or {}).get("content") or ():
            return tuple(Score(_text(one), math.exp(one["logprob"]), one["id"]) for one in place["top_logprobs"])
    return ()


def _text(one: Json) -> str:
    """Bytes that are no whole letter are written as they are: <0xE2>."""
    raw = bytes(one.get("bytes") or ())
    try:
        return raw.decode() if raw else str(one["token"])
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in raw)
