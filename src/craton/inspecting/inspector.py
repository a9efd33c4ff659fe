"""Looking inside models: what the routes ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from craton.children.errors import from_wire
from craton.children.pool import ChildPool, PoolLimits, PoolWords
from craton.children.process import Process
from craton.core.access import Caller
from craton.core.errors import InvalidRequest, ModelUnavailable, Throttled, TooLarge, Unsupported
from craton.core.events import Usage
from craton.core.model import ModelInfo, NextRequest, ScoreAnswer
from craton.inspecting.frames import ChildFrame, Cut, Failed, Look, Looked, Pieces, Source
from craton.inspecting.limits import (
    CUT_SECONDS,
    IDLE_SECONDS,
    LOOK_SECONDS,
    MAX_TEXT,
    MOST_WAITING,
    TASKS,
    WALL_FACTOR,
)
from craton.inspecting.values import Attention, Next, NextToken, Piece, Seen, Tokens
from craton.serve.directory import Directory
from craton.serve.inference import Call
from craton.serve.pricing import Prices
from craton.serve.target import Target

_FLOAT = 4  # bytes: attention is computed in float32
_BESIDE = 1024  # megabytes for what computing takes beside the weights

_WORDS = PoolWords("the process that looks into models", "model", ChildFrame)


class NextTokens(Protocol):
    """What serves models."""

    async def score(self, call: Call, request: NextRequest) -> ScoreAnswer: ...


class Inspector:
    """blob_path: where the bytes with this digest lie. available: bytes of memory that could be used now."""

    def __init__(
        self,
        directory: Directory,
        serving: NextTokens,
        prices: Prices,
        blob_path: Callable[[str], Path],
        available: Callable[[], int],
    ) -> None:
        self._directory, self._serving, self._prices = directory, serving, prices
        self._blob_path, self._available = blob_path, available
        self._cutters = _pool(2, CUT_SECONDS)
        self._lookers = _pool(1, LOOK_SECONDS)
        self._waiting = 0

    async def close(self) -> None:
        await self._cutters.close()
        await self._lookers.close()

    async def tokens(self, caller: Caller, name: str, text: str) -> Tokens:
        """How the model's tokenizer cuts a text; the model itself is not loaded.

        Raises NotFound, InvalidRequest, TooLarge, Throttled; Unsupported for a model without a tokenizer here.
        """
        _check(text)
        target = await self._files_of(caller, name)
        order = Cut(await self._source(target), text, CUT_SECONDS)
        pieces = await self._run(self._cutters, order)
        if not isinstance(pieces, tuple):
            raise TypeError(pieces)
        info = target.info
        cost = self._prices.cost(info.id, Usage(len(pieces), 0))
        return Tokens(info.id, info.revision, pieces, len(pieces), len(text), cost)

    async def attention(
        self,
        caller: Caller,
        name: str,
        text: str,
        *,
        layer: int | None = None,
        head: int | None = None,
        picture: bool = False,
    ) -> Attention:
        """Which tokens each head of each layer attends to: of one layer, one head, or all. picture: as a PNG instead
        of numbers.

        Raises what `tokens` does; Unsupported without craton[train], ModelUnavailable without memory for it.
        """
        _check(text)
        target = await self._files_of(caller, name)
        _refuse_without_extra(adapter=target.overlay is not None)
        source, megabytes = await self._source(target), self._megabytes(target.info)
        seen = await self._run(self._lookers, Look(source, text, layer, head, picture, megabytes, LOOK_SECONDS))
        if not isinstance(seen, Seen):
            raise TypeError(seen)
        return Attention(target.info.id, target.info.revision, seen)

    async def next(self, call: Call, name: str, text: str, top: int) -> Next:
        """The likeliest next tokens after a text as it stands, from the engine that serves the model.

        Raises what a chat with it does.
        """
        _check(text)
        info = (await self._directory.find(call.caller.tenant, name)).info
        answer = await self._serving.score(call, NextRequest(name, (text,), top))
        found = tuple(NextToken(score.token, score.label, score.score) for score in answer.scores[0])
        return Next(info.id, info.revision, answer.tokens[0], found)

    async def _files_of(self, caller: Caller, name: str) -> Target:
        target = await self._directory.find(caller.tenant, name)
        if not target.files:
            raise Unsupported(f"Looking into {target.info.id!r}", "Its files are not here.")
        return target

    async def _source(self, target: Target) -> Source:
        overlay = target.overlay.files if target.overlay is not None else {}
        files, over = await asyncio.to_thread(lambda: (self._paths(target.files), self._paths(overlay)))
        return Source(target.info.id, files, over)

    def _paths(self, files: Mapping[str, str]) -> dict[str, str]:
        return {name: str(self._blob_path(digest)) for name, digest in files.items()}

    def _megabytes(self, info: ModelInfo) -> int:
        """That looking may take: the weights in float32, twice while they are read. Raises ModelUnavailable."""
        weights = _FLOAT * (info.parameters or info.size_bytes)
        needed = 2 * weights + (_BESIDE << 20)
        if needed > self._available():
            raise ModelUnavailable(
                info.id,
                f"looking at its attention takes about {needed >> 20:,} MiB of memory, and "
                f"{self._available() >> 20:,} are free.",
            )
        return needed >> 20

    async def _run(
        self, pool: ChildPool[ChildFrame, tuple[Piece, ...] | Seen], order: Cut | Look
    ) -> tuple[Piece, ...] | Seen:
        if self._waiting >= MOST_WAITING:
            raise Throttled("Too many are looking into models; try again soon.", 5.0)
        self._waiting += 1
        try:
            return await pool.run(order, _answer)
        finally:
            self._waiting -= 1


def _pool(processes: int, seconds: float) -> ChildPool[ChildFrame, tuple[Piece, ...] | Seen]:
    limits = PoolLimits(seconds, seconds * WALL_FACTOR, TASKS, IDLE_SECONDS)
    return ChildPool(processes, _spawn, _WORDS, limits)


async def _spawn() -> Process:
    return await Process.spawn("craton.inspecting.child")


def _answer(frame: ChildFrame) -> tuple[Piece, ...] | Seen | None:
    if isinstance(frame, Failed):
        raise from_wire(frame.error, "the model")
    if isinstance(frame, Pieces):
        return frame.pieces
    return frame.seen if isinstance(frame, Looked) else None


def _check(text: str) -> None:
    if not text:
        raise InvalidRequest("it is empty", "text")
    if len(text) > MAX_TEXT:
        raise TooLarge("text", MAX_TEXT, len(text), "characters")


def _refuse_without_extra(*, adapter: bool) -> None:
    for package in ("torch", "transformers", "matplotlib", *(["peft"] if adapter else [])):
        if find_spec(package) is None:
            raise Unsupported("Looking at attention here", f"Install craton[train] ({package}).")
