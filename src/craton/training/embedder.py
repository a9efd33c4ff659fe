"""The model that texts are embedded by, asked from the thread of a training as serving will ask it: through `serve`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from craton.core.access import Caller, KeyRole
from craton.core.errors import InvalidRequest, ModelFailed, ModelUnavailable, NotFound, Throttled
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.serve.inference import Call
from craton.training.data.loading import Embedding

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

STARTER = "all-minilm-l6-v2"
TRIES = 4  # of a batch whose worker died, or that found no place
HINT = "`craton models pull --starters` fetches it; or list the column under data.drop."


class Embeds(Protocol):
    """What is needed of `serve`."""

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer: ...

    async def model(self, caller: Caller, name: str) -> ModelInfo: ...


def embedding(serving: Embeds, loop: asyncio.AbstractEventLoop, tenant: str, name: str = STARTER) -> Embedding:
    """The embedder, pinned to the revision that it has now. Call it outside the loop. Raises NotFound."""
    caller = Caller(tenant, "", KeyRole.DEVELOPER, "craton")

    def wait(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    try:
        info = wait(serving.model(caller, name))
    except NotFound:
        raise NotFound("model", name, f"Text columns are embedded by it. {HINT}") from None
    if "embed" not in info.verbs:
        raise InvalidRequest(f"the model {name} does not embed texts", "data.text")
    pinned = f"{name}@{info.revision}" if info.revision else name

    def embed(texts: list[str]) -> np.ndarray[Any, Any]:
        import numpy as np

        answer = wait(_embed(serving, caller, pinned, texts))
        return np.frombuffer(answer.vectors, np.float32).reshape(len(texts), answer.dimensions)

    length = info.dimensions or embed(["length"]).shape[1]
    return Embedding(pinned, length, embed)


async def _embed(serving: Embeds, caller: Caller, model: str, texts: list[str]) -> EmbedAnswer:
    """An empty text is embedded as a single space: some embedders take none without words."""
    request = EmbedRequest(model, tuple(text or " " for text in texts), truncate=True)
    for attempt in range(1, TRIES):
        try:
            return await serving.embed(_call(caller), request)
        except (ModelFailed, ModelUnavailable):
            await asyncio.sleep(attempt)
        except Throttled as error:
            await asyncio.sleep(max(error.retry_after, attempt))
    return await serving.embed(_call(caller), request)


def _call(caller: Caller) -> Call:
    return Call(caller, secrets.token_hex(16), "craton", "Train")
