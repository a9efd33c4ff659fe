"""The model that a knowledge base's vectors come from, pinned to its revision."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from craton.core.access import Caller, KeyRole
from craton.core.errors import Conflict, InvalidRequest, ModelFailed, ModelUnavailable, NotFound, Throttled
from craton.core.knowledge import KnowledgeBase
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.serve.inference import Call

TRIES = 4  # of a batch whose worker died, or that found no place


class Embedders(Protocol):
    """What knowledge bases need of `serve` for their vectors."""

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer: ...

    async def model(self, caller: Caller, name: str) -> ModelInfo: ...


class Pinned(Struct, frozen=True):
    """model: the name under which `serve` finds exactly that revision. dimensions: to ask for, None for the model's
    own."""

    model: str
    dimensions: int | None


def owner(tenant: str) -> Caller:
    """Who asks when the platform works for a tenant by itself."""
    return Caller(tenant, "", KeyRole.DEVELOPER, "craton")


async def pinned(embedders: Embedders, base: KnowledgeBase) -> Pinned:
    """The base's own embedder. Raises Conflict when that revision of the model is not here any more."""
    name = f"{base.embedder}@{base.embedder_revision}" if base.embedder_revision else base.embedder
    try:
        info = await embedders.model(owner(base.tenant), name)
    except NotFound:
        info = None
    if info is None or info.revision != base.embedder_revision:
        raise Conflict(
            "knowledge base",
            base.name,
            f"its vectors come from {base.embedder} at revision {base.embedder_revision or 'none'}, which is not here "
            "any more; vectors of another revision cannot be compared with them. Bring that revision back, or make a "
            "new knowledge base",
        )
    return Pinned(name, None if info.dimensions == base.dimensions else base.dimensions)


async def choose(embedders: Embedders, tenant: str, name: str, dimensions: int | None) -> tuple[ModelInfo, int]:
    """The model that a new knowledge base will be pinned to, and its vectors' length (tried out when it is not
    known). Raises NotFound, InvalidRequest."""
    info = await embedders.model(owner(tenant), name)
    if "embed" not in info.verbs:
        raise InvalidRequest(f"the model {info.id} does not embed texts", "embedder")
    if info.dimensions is not None and dimensions in {None, info.dimensions}:
        return info, info.dimensions
    answer = await embedders.embed(_call(tenant), EmbedRequest(info.id, ("dimensions",), dimensions))
    return info, answer.dimensions


class Embedder:
    """Vectors for one base's texts, as `data.documents.Embeds`."""

    def __init__(self, embedders: Embedders, base: KnowledgeBase, pinned: Pinned) -> None:
        self._embedders, self._base, self._pinned = embedders, base, pinned

    async def __call__(self, texts: Sequence[str]) -> bytes:
        """float32, little-endian, unit length, shape (len(texts), base.dimensions).

        Raises what `serve` raises for texts that cannot be embedded; a worker that died or has no place is tried
        again.
        """
        request = EmbedRequest(self._pinned.model, tuple(texts), self._pinned.dimensions, truncate=True)
        for attempt in range(1, TRIES):
            try:
                return await self._embed(request)
            except (ModelFailed, ModelUnavailable):
                await asyncio.sleep(attempt)
            except Throttled as error:
                await asyncio.sleep(max(error.retry_after, attempt))
        return await self._embed(request)

    async def _embed(self, request: EmbedRequest) -> bytes:
        answer = await self._embedders.embed(_call(self._base.tenant), request)
        if answer.dimensions != self._base.dimensions:
            raise Conflict(
                "knowledge base",
                self._base.name,
                f"{self._base.embedder} gives {answer.dimensions} dimensions, the index has {self._base.dimensions}",
            )
        return answer.vectors


def _call(tenant: str) -> Call:
    return Call(owner(tenant), secrets.token_hex(16), "craton", "Ingest")
