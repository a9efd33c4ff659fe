"""Fitting the passages into the model's window: the worst go first, the last one is shortened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from craton.core.chat import ChatRequest
from craton.core.errors import ContextExceeded, Unsupported
from craton.core.knowledge import Passage
from craton.data.chunking.sentences import sentence_spans
from craton.serve.inference import Call, Serving

UNKNOWN_CONTEXT = 8_192  # tokens, when nobody says
CHARACTERS_A_TOKEN = 3  # when nobody counts: on the safe side for most languages
SPARE = 16  # tokens

Build = Callable[[Sequence[Passage]], ChatRequest]


async def fit(
    serving: Serving, call: Call, context: int | None, build: Build, passages: Sequence[Passage]
) -> tuple[ChatRequest, int]:
    """The request with as many of the best passages as fit, and how many those are (at least one, which may be
    shortened). Raises ContextExceeded when not even a sentence of it fits."""
    limit = context or UNKNOWN_CONTEXT

    async def size(request: ChatRequest) -> int:
        wanted = (request.sampling.max_tokens or 0) + SPARE
        try:
            return await serving.count_tokens(call, request) + wanted
        except Unsupported:
            said = sum(len(message.text()) for message in request.messages)
            return said // CHARACTERS_A_TOKEN + wanted

    fits, over = 0, len(passages) + 1
    tried = len(passages)  # usually all of them fit
    while over - fits > 1:
        if await size(build(passages[:tried])) <= limit:
            fits = tried
        else:
            over = tried
        tried = (fits + over) // 2
    if fits:
        return build(passages[:fits]), fits
    first = passages[0]
    ends = [end for _, end in sentence_spans(first.text)]
    fits, over = 0, len(ends)
    while over - fits > 1:
        tried = (fits + over) // 2
        if await size(build([replace(first, text=first.text[: ends[tried - 1]])])) <= limit:
            fits = tried
        else:
            over = tried
    if not fits:
        raise ContextExceeded(build([]).model, limit, await size(build([first])))
    return build([replace(first, text=first.text[: ends[fits - 1]])]), 1
