"""llama.cpp with nothing approximated: caches in 32-bit floats, attention computed plainly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import xllamacpp

from craton.engines.llama_cpp import server
from craton.engines.llama_cpp.options import Options


class Exact:
    def __init__(self, loaded: server.LlamaServer) -> None:
        self._loaded = loaded

    def tokens(self, text: str) -> list[int]:
        return asyncio.run(self._loaded.tokens(text))

    def after(self, tokens: list[int], count: int) -> dict[int, float]:
        """Token -> its log-probability after these; {} where llama.cpp tells none (the likeliest is half a letter)."""
        body = {"prompt": tokens, "n_predict": 1, "ignore_eos": True, "temperature": 0, "n_probs": count}
        for chunk in self._loaded.ask({**body, "cache_prompt": False}):
            for choice in chunk.get("choices", ()):
                for place in (choice.get("logprobs") or {}).get("content") or ():
                    return {one["id"]: one["logprob"] for one in place["top_logprobs"]}
        return {}


@contextmanager
def exactly(path: Path) -> Iterator[Exact]:
    usual = server.parameters

    def exact(*given: Any) -> Any:
        parameters = usual(*given)
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return parameters

    options = Options(path=str(path), context=256, parallel=1, threads=1, batch_threads=1, batch=64)
    with patch.object(server, "parameters", exact):
        loaded = server.LlamaServer("tiny", options, None)
    try:
        yield Exact(loaded)
    finally:
        asyncio.run(loaded.close())
