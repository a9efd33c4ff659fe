"""The only way to a model: resolve, admit, guard, run, meter.

Dialects call `Inference` and nothing below it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct

from craton.core.access import Caller
from craton.core.chat import ChatRequest, Event
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo


class Call(Struct, frozen=True):
    """Who asks, through which dialect's operation ("aws", "Converse"), under which request id.

    deadline: seconds from now, None for the server's default.
    """

    caller: Caller
    request_id: str
    dialect: str
    operation: str
    deadline: float | None = None


class Serving(Protocol):
    """What the dialects need of `serve`."""

    def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        """The answer, as it arrives. Closing the iterator cancels the work."""
        ...

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer: ...

    async def count_tokens(self, call: Call, request: ChatRequest) -> int: ...

    async def models(self, caller: Caller) -> list[ModelInfo]:
        """All models that this caller may use, sorted by id."""
        ...

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        """Resolves a name, alias or vendor id. Raises NotFound."""
        ...
