"""The process that measures one file: `python -m craton.conversion.quantising.measuring_child`, words on its pipes."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from craton.conversion.quantising.measuring import Case, Measured, Wanted
from craton.core.chat import Json
from craton.engines.llama_cpp.options import Options
from craton.engines.llama_cpp.server import LlamaServer

ANSWER = 24  # tokens
_FORCED = 10_000.0
"""A bias that makes a token certain. Probabilities are told as they were before it."""


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    context = max(512, wanted.tokens + 64)
    options = Options(wanted.file, context, 1, wanted.threads, wanted.threads, 256)
    server = LlamaServer("the model", options, wanted.template or None)
    found = asyncio.run(_Measuring(server, wanted).all())
    size = Path(wanted.file).stat().st_size
    sys.stdout.buffer.write(msgspec.json.encode(msgspec.structs.replace(found, size=size)))


class _Measuring:
    def __init__(self, server: LlamaServer, wanted: Wanted) -> None:
        self._server, self._wanted = server, wanted

    async def all(self) -> Measured:
        try:
            tokens = (await self._server.tokens(self._wanted.text))[: self._wanted.tokens]
            if len(tokens) < 3:
                raise SystemExit("The text is too short.")
            read, write = self._speed(tokens)
            likelihoods = self._likelihoods(tokens)
            score = await self._score() if self._wanted.cases else None
        finally:
            await self._server.close()
        perplexity = math.exp(-sum(likelihoods) / len(likelihoods))
        return Measured(0, perplexity, len(likelihoods), read, write, score)

    def _speed(self, tokens: list[int]) -> tuple[float, float]:
        """The first run warms up: it reads the weights from the disk."""
        self._ask(tokens[:8], 2)
        started = time.perf_counter()
        self._ask(tokens, 1)
        between = time.perf_counter()
        self._ask(tokens[:8], ANSWER + 1)
        ended = time.perf_counter()
        return len(tokens) / (between - started), (ANSWER + 1) / (ended - between)

    def _ask(self, tokens: list[int], count: int) -> str:
        body: Json = {"prompt": tokens, "n_predict": count, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        return _text(self._server.ask(body))

    def _likelihoods(self, tokens: list[int]) -> list[float]:
        """Of each token that is told: one request for each, over the cached beginning."""
        found: list[float] = []
        for at in range(1, len(tokens)):
            body: Json = {
                "prompt": tokens[:at],
                "n_predict": 1,
                "temperature": 0,
                "ignore_eos": True,
                "n_probs": 1,
                "cache_prompt": True,
                "logit_bias": [[tokens[at], _FORCED]],
            }
            found += [place["logprob"] for place in _told(self._server.ask(body)) if place["id"] == tokens[at]]
        if not found:
            raise SystemExit("llama.cpp tells no probabilities of this text.")
        return found

    async def _score(self) -> float:
        right = [await self._right(case) for case in self._wanted.cases]
        return sum(right) / len(right)

    async def _right(self, case: Case) -> bool:
        prompt = case.prompt
        if self._wanted.template:
            prompt = await self._server.prompt({"messages": [{"role": "user", "content": case.prompt}]})
        expected = await self._server.tokens(case.completion)
        body: Json = {"prompt": prompt, "n_predict": len(expected) + 8, "temperature": 0}
        said = _text(self._server.ask(body))
        return said.strip().casefold().startswith(case.completion.strip().casefold())


def _told(chunks: list[Json]) -> Iterator[Json]:
    """What is told of each token's probability."""
    for chunk in chunks:
        for choice in chunk.get("choices", ()):
            yield from (choice.get("logprobs") or {}).get("content") or ()


def _text(chunks: list[Json]) -> str:
    return "".join(choice.get("text") or "" for chunk in chunks for choice in chunk.get("choices", ()))


if __name__ == "__main__":
    main()
