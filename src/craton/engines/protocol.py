"""What every engine is: a few verbs and a table of what it can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from msgspec import Struct

from craton.core.chat import ChatRequest
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest


class AdapterSpec(Struct, frozen=True):
    """One of the adapters that are loaded with a model, chosen by `ChatRequest.adapter`.

    key: tells it apart. model: the id that errors name. files: as the model's. proven: it ran beside this model before.
    """

    key: str
    model: str
    files: dict[str, str]
    proven: bool = False


class EngineSpec(Struct, frozen=True):
    """What it takes to load one model.

    engine: "llama_cpp", "bert", "echo". model: the id that errors name. files: name in the repository -> local path.
    options: the operator's settings for this engine ("threads", "parallel", "context" ...), checked by the engine.
    adapters: those that are to be applied when a request asks for one of them.
    """

    engine: str
    model: str
    info: ModelInfo
    files: dict[str, str]
    options: dict[str, Any]
    adapters: tuple[AdapterSpec, ...] = ()


class Engine(Protocol):
    """One loaded model. Runs inside a worker process, or in the server when it does no work of its own
    (`echo`, `upstream`); a worker's client has the same shape, so callers cannot tell.

    Errors are those of `craton.core.errors`. Closing the iterator that `chat` returns (aclose) cancels the work,
    within 250 ms, and frees its place.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        """Answer. Events in the order that `core.events.Event` states. Raises ContextExceeded before any event."""
        ...

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Vectors for texts. Raises ContextExceeded unless `truncate`."""
        ...

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        """Labels for texts, or tokens for their masks. Raises ContextExceeded unless `truncate`."""
        ...

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        """Outputs for rows. Columns come in the signature's order. Raises InvalidRequest that names row and column."""
        ...

    async def count_tokens(self, request: ChatRequest) -> int:
        """How many prompt tokens this request would cost: exactly what `chat` would report as Usage.input."""
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent."""
        ...
