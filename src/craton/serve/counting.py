"""Counting the tokens of a prompt: no model is loaded for it.

A worker that holds the vocabulary and the chat template alone counts the same (`engines.llama_cpp.counter`).
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

from msgspec.structs import replace

from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, Unsupported
from craton.serve.pool import Pool, PoolLimits
from craton.serve.refusals import refuse_unmet
from craton.serve.target import Target

COUNTED_APART = frozenset({"llama_cpp"})
"""Engines whose models take long to load and have a counter; the others count by themselves at once."""

COUNTER_LIMITS = PoolLimits(memory=512 * 2**20, idle=120.0)
"""Room for a few; the longest unused makes room for another, and each goes when nothing was counted for a while."""

_PROCESS, _WORD = 48 * 2**20, 1024  # bytes; measured with 49,152 words: 73 MiB while loading, 51 after

log = logging.getLogger("craton.counting")


def counter_bytes(target: Target) -> int:
    """About what a counter of this model takes."""
    return _PROCESS + _WORD * int((target.info.details or {}).get("vocabulary") or 0)


class Counting:
    """models: the loaded models. counters: a small pool of counters; what does not count exactly is refused there."""

    def __init__(self, models: Pool, counters: Pool) -> None:
        self._models, self._counters = models, counters

    def start(self) -> None:
        self._counters.start()

    async def close(self) -> None:
        await self._counters.close()

    async def count(self, target: Target, request: ChatRequest) -> int:
        """What `chat` would report as Usage.input. request.model is the target's id.

        Raises what a chat would for a request that this model does not answer.
        """
        if target.info.engine in COUNTED_APART and not self._models.holds(target):
            tokens = await self._count_apart(target, request)
            if tokens is not None:
                return tokens
        async with self._models.use(target) as loaded:
            refuse_unmet(target.info, loaded.engine.capabilities, request)
            return await loaded.engine.count_tokens(request)

    async def _count_apart(self, target: Target, request: ChatRequest) -> int | None:
        """None when only the model itself counts this exactly, or there can be no counter."""
        async with AsyncExitStack() as stack:
            try:
                counter = await stack.enter_async_context(self._counters.use(_counted(target)))
            except CratonError as error:
                log.info("%s has no counter: %s", target.info.id, error)
                return None
            refuse_unmet(target.info, counter.engine.capabilities, request)
            try:
                return await counter.engine.count_tokens(request)
            except Unsupported as error:
                log.info("the counter of %s leaves a request to the model: %s", target.info.id, error)
                return None


def _counted(target: Target) -> Target:
    """Adapters that share a worker have one vocabulary and one template, and so one counter."""
    if target.overlay is None:
        return target
    return replace(target, key=target.home, home="", overlay=None, info=replace(target.info, id=target.info.base))
