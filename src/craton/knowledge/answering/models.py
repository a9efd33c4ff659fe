"""The little arithmetic that an answer needs, in plain Python: some forty vectors at a time, so that the server imports
no numeric library for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from operator import mul

from msgspec.structs import replace

from craton.core.model import EmbedRequest
from craton.serve.inference import Call, Serving

Vector = Sequence[float]
Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
"""Unit vectors for texts; what is longer than the embedder's window is read as far as it goes."""


def dot(one: Vector, other: Vector) -> float:
    """The cosine of two unit vectors."""
    return float(sum(map(mul, one, other)))


class Calls:
    """Numbers the calls to models that one answer makes: each leaves a row of its own under `ID.name`, beside
    the answer's own under `ID`: `craton trace` shows them together."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._made: dict[str, int] = {}

    def named(self, name: str) -> Call:
        count = self._made[name] = self._made.get(name, 0) + 1
        suffix = f".{name}" if count == 1 else f".{name}{count}"
        return replace(self._call, request_id=self._call.request_id[: 64 - len(suffix)] + suffix)


def embedder(serving: Serving, calls: Calls, model: str) -> Embed:
    """model "": there is none (a base over SQL has none of its own), and nothing is near anything."""

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        if not model or not texts:
            return [[0.0]] * len(texts)
        answer = await serving.embed(calls.named("embed"), EmbedRequest(model, tuple(texts), truncate=True))
        return answer.rows()

    return embed
