"""Models of Amazon Bedrock itself: Converse for chat, InvokeModel for embeddings, CountTokens.

Source: the bedrock-runtime service model (botocore) and the Amazon Bedrock user guide.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from craton.core.chat import ChatRequest
from craton.core.errors import Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.core.streams import closing
from craton.engines.upstream.bedrock_embeddings import (
    read_cohere,
    read_titan,
    texts,
    write_cohere,
    write_titan,
)
from craton.engines.upstream.bedrock_events import BedrockEvents, read_frames
from craton.engines.upstream.bedrock_request import BedrockOptions, write_converse, write_prompt
from craton.engines.upstream.bedrock_signing import AwsKeys, BearerKey
from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.transport import Timeouts, Transport
from craton.engines.upstream.vectors import pack
from craton.engines.upstream.words import TokenCount

_EVENT_STREAM = "application/vnd.amazon.eventstream"
_TITAN_AT_ONCE = 4


class _Count(Struct):
    inputTokens: TokenCount


class BedrockUpstream:
    """One model of Amazon Bedrock. An `Engine`.

    model: a model id, inference profile or ARN. base_url: "https://bedrock-runtime.REGION.amazonaws.com" or a VPC
    endpoint. The client belongs to the caller and is not closed.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        model: str,
        base_url: str,
        credential: BearerKey | AwsKeys,
        info: ModelInfo,
        options: BedrockOptions | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._model = model
        self._info = info
        self._options = options or BedrockOptions()
        self._path = f"/model/{quote(model, safe='')}"
        self._transport = Transport(
            client,
            base_url,
            model=info.id,
            sign=credential.signer(),
            secrets=credential.secrets,
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
        body = msgspec.json.encode(write_converse(request, self._model))
        reader = BedrockEvents()
        stream = self._transport.stream(f"{self._path}/converse-stream", body, _EVENT_STREAM)
        async with stream as pieces, closing(read_frames(pieces)) as arriving:
            with self._transport.reading():
                async for frame in arriving:
                    for event in reader.feed(frame):
                        yield event
                reader.finish()

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        if "cohere.embed" in self._model:
            body = write_cohere(request, self._model, self._options)
            reply = await self._transport.post(f"{self._path}/invoke", msgspec.json.encode(body))
            with self._transport.reading():
                return await asyncio.to_thread(read_cohere, reply.body, reply.headers, request)
        if "titan-embed-text" in self._model:
            return await self._embed_titan(request)
        raise Unsupported(f"embedding with {self._info.id}", "Over Bedrock, Titan's and Cohere's models do it.")

    async def _embed_titan(self, request: EmbedRequest) -> EmbedAnswer:
        """One request for each text, which is all that Titan takes; a few at a time."""
        bodies = [write_titan(text, request, self._model) for text in texts(request)]
        places = asyncio.Semaphore(_TITAN_AT_ONCE)

        async def ask(body: dict[str, object]) -> bytes:
            async with places:
                return (await self._transport.post(f"{self._path}/invoke", msgspec.json.encode(body))).body

        tasks = [asyncio.create_task(ask(body)) for body in bodies]
        try:
            replies = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        with self._transport.reading():
            vectors = [read_titan(reply) for reply in replies]
            return pack([vector.embedding for vector in vectors], tuple(v.inputTextTokenCount for v in vectors))

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with an upstream model")

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        raise Unsupported("predicting with an upstream model")

    async def count_tokens(self, request: ChatRequest) -> int:
        body = {"input": {"converse": write_prompt(request, self._model)}}
        reply = await self._transport.post(f"{self._path}/count-tokens", msgspec.json.encode(body))
        with self._transport.reading():
            try:
                return msgspec.json.decode(reply.body, type=_Count).inputTokens
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise Malformed("it is not a count of tokens") from None

    async def close(self) -> None:
        """Nothing of its own to give back."""
