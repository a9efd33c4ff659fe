"""Models behind Anthropic's Messages API.

Source: Anthropic's API reference (messages, streaming, count tokens, errors).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest
from craton.core.errors import Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.core.streams import closing
from craton.engines.upstream.anthropic_events import AnthropicEvents
from craton.engines.upstream.anthropic_request import AnthropicOptions, write_messages, write_prompt
from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.sse import read_events
from craton.engines.upstream.transport import Timeouts, Transport
from craton.engines.upstream.words import TokenCount


class _Count(Struct):
    input_tokens: TokenCount


class AnthropicUpstream:
    """One model of Anthropic, or of a server that speaks its wire. An `Engine`.

    model: its name at the provider. base_url: without the version ("https://api.anthropic.com"). The client
    belongs to the caller and is not closed.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        model: str,
        base_url: str,
        key: str,
        info: ModelInfo,
        options: AnthropicOptions | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._model = model
        self._info = info
        self._options = options or AnthropicOptions()
        credential = {"authorization": f"Bearer {key}"} if self._options.auth == "bearer" else {"x-api-key": key}
        headers = credential | {"anthropic-version": self._options.version}
        self._transport = Transport(
            client,
            base_url,
            model=info.id,
            sign=lambda url, body: headers,
            secrets=(key,),
            timeouts=timeouts or Timeouts(),
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the wire can express. Which of it one model does is for the provider to refuse."""
        return Capabilities(
            verbs=self._info.verbs,
            tools="native",
            output_schema=True,
            reasoning=True,
            images=True,
            documents=True,
            cached_tokens=True,
            concurrency=self._options.concurrency,
        )

    async def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        body = msgspec.json.encode(write_messages(request, self._model, self._options))
        reader = AnthropicEvents()
        stream = self._transport.stream("/v1/messages", body, "text/event-stream")
        async with stream as pieces, closing(read_events(pieces)) as arriving:
            with self._transport.reading():
                async for received in arriving:
                    for event in reader.feed(received.name, received.data):
                        yield event
                reader.finish()

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Refused: this API has no embeddings."""
        raise Unsupported(f"embedding with {self._info.id}", "Anthropic's API has no embeddings.")

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with an upstream model")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with an upstream model")

    async def count_tokens(self, request: ChatRequest) -> int:
        body = msgspec.json.encode(write_prompt(request, self._model))
        reply = await self._transport.post("/v1/messages/count_tokens", body)
        with self._transport.reading():
            try:
                return msgspec.json.decode(reply.body, type=_Count).input_tokens
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise Malformed("it is not a count of tokens") from None

    async def close(self) -> None:
        """Nothing of its own to give back."""
