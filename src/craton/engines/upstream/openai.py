"""Models behind an OpenAI-compatible API: OpenAI, DeepSeek, Ollama, vLLM, llama-server, another Craton ...

Sources: OpenAI's API reference (chat completions, embeddings); DeepSeek's "thinking mode" guide; the OpenAI pages of
vLLM, Ollama and llama.cpp's server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest, Json
from craton.core.errors import Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.core.streams import closing
from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.openai_events import OpenAIEvents
from craton.engines.upstream.openai_request import OpenAIOptions, write_chat
from craton.engines.upstream.sse import read_events
from craton.engines.upstream.transport import Timeouts, Transport
from craton.engines.upstream.vectors import pack, share
from craton.engines.upstream.words import TokenCount, drop_unset


class _Embedding(Struct):
    embedding: list[float] | str
    index: int = 0


class _EmbedUsage(Struct):
    prompt_tokens: TokenCount | None = None


class _Embeddings(Struct):
    data: list[_Embedding]
    usage: _EmbedUsage | None = None


class OpenAIUpstream:
    """One model of one provider. An `Engine`.

    model: its name at the provider. base_url: up to and with the version ("https://api.openai.com/v1").
    key: sent as a bearer token; "" sends none (Ollama). The client belongs to the caller and is not closed.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        model: str,
        base_url: str,
        key: str,
        info: ModelInfo,
        options: OpenAIOptions | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._model = model
        self._info = info
        self._options = options or OpenAIOptions()
        headers = {"authorization": f"Bearer {key}"} if key else {}
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
            top_logprobs=20,
            many_choices=True,
            seed=True,
            logit_bias=True,
            penalties=True,
            cached_tokens=True,
            concurrency=self._options.concurrency,
        )

    async def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        body = msgspec.json.encode(write_chat(request, self._model, self._options))
        reader = OpenAIEvents(request)
        stream = self._transport.stream("/chat/completions", body, "text/event-stream")
        async with stream as pieces, closing(read_events(pieces)) as arriving:
            with self._transport.reading():
                async for received in arriving:
                    for event in reader.feed(received.data):
                        yield event
                for event in reader.finish():
                    yield event

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        if request.truncate:
            raise Unsupported("cutting long inputs over the OpenAI wire", "Shorten them before sending.")
        body: Json = {
            "model": self._model,
            "input": request.inputs,
            "encoding_format": "base64",
            "dimensions": request.dimensions,
        }
        reply = await self._transport.post("/embeddings", msgspec.json.encode(drop_unset(body)))
        with self._transport.reading():
            return await asyncio.to_thread(_read_embeddings, reply.body, request)

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with an upstream model")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with an upstream model")

    async def count_tokens(self, request: ChatRequest) -> int:
        """Refused: this wire has no such question, and a guess would not be what `chat` reports."""
        raise Unsupported(f"counting tokens with {self._info.id}", "Its provider does not offer it.")

    async def close(self) -> None:
        """Nothing of its own to give back."""


def _read_embeddings(body: bytes, request: EmbedRequest) -> EmbedAnswer:
    try:
        answer = msgspec.json.decode(body, type=_Embeddings)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("it is not a list of embeddings") from None
    total = answer.usage.prompt_tokens if answer.usage else None
    tokens, estimated = share(total or None, request.inputs)
    rows = [row.embedding for row in sorted(answer.data, key=lambda row: row.index)]
    return pack(rows, tokens, estimated=estimated)
