"""The embedding engine: requests from several callers, computed together, answered in each one's order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
import numpy as np

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest, ModelFailed, ModelUnavailable, TooLarge, Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest
from craton.engines.bert.config import BertConfig
from craton.engines.bert.encoder import Encoder, Ids, Options, unit
from craton.engines.bert.graph import build_graph
from craton.engines.bert.queue import Batch, Job, Queue, cut
from craton.engines.bert.tokenizing import BertTokenizer, slices
from craton.engines.bert.weights import read_weights
from craton.engines.protocol import EngineSpec

MAX_INPUTS = 16_384
MAX_CHARACTERS = 64 << 20
"""Of one request, all inputs together."""

_BATCH_TOKENS = 1024
"""Batches of 4,096 were a tenth faster (69 to 63 docs/s), but a lone query then waits 0.6 s for a stream, not 0.15."""
_CAPACITY = 8 << 20
_TOKENIZING_THREADS = 2
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class BertEngine:
    """Implements `craton.engines.protocol.Engine` for one BERT encoder. Belongs to one event loop."""

    def __init__(self, model: str, config: BertConfig, tokenizer: BertTokenizer, encoder: Encoder) -> None:
        self._model, self._config, self._tokenizer, self._encoder = model, config, tokenizer, encoder
        self._queue = Queue(_BATCH_TOKENS, _CAPACITY)
        self._threads = ThreadPoolExecutor(encoder.streams + _TOKENIZING_THREADS, thread_name_prefix="bert")
        self._work = asyncio.Event()
        self._streams: list[asyncio.Task[None]] = []
        self._closed = False

    @classmethod
    def load(cls, spec: EngineSpec) -> BertEngine:
        """Blocks for a second or so. Raises Unsupported, Damaged, and InvalidRequest for bad options."""
        try:
            options = msgspec.convert(spec.options, Options)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error), "options") from None
        config = BertConfig.read(spec.files)
        tokenizer = BertTokenizer.load(spec.files, config, spec.model)
        encoder = Encoder(build_graph(config, read_weights(spec.files, config)), options)
        return cls(spec.model, config, tokenizer, encoder)

    @property
    def capabilities(self) -> Capabilities:
        """concurrency: requests are batched together, so it is more than the streams."""
        return Capabilities(verbs=("embed",), concurrency=64)

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Raises InvalidRequest, TooLarge, ContextExceeded unless `truncate`, Throttled, ModelFailed."""
        dimensions = self._check(request)
        rows = await self._tokenize(request)
        pieces = await self._in_thread(cut, rows, _BATCH_TOKENS)
        job = Job(rows, pieces, self._config.hidden, asyncio.get_running_loop().create_future())
        self._queue.add(job)
        self._start()
        self._work.set()
        try:
            await job.done
        finally:
            self._queue.drop(job)  # of a caller that left
        vectors = job.vectors
        if dimensions < self._config.hidden:
            vectors = unit(vectors[:, :dimensions])
        return EmbedAnswer(vectors.astype("<f4").tobytes(), dimensions, tuple(map(len, rows)))

    def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        raise Unsupported("Chat with an embedding model")

    async def count_tokens(self, request: ChatRequest) -> int:
        raise Unsupported("Counting a conversation's tokens with an embedding model")

    async def close(self) -> None:
        self._closed = True
        for stream in self._streams:
            stream.cancel()
        for job in self._queue.clear():
            job.fail(self._unloading())
        await asyncio.to_thread(self._threads.shutdown)

    def _check(self, request: EmbedRequest) -> int:
        """The dimensions to answer with."""
        if self._closed:
            raise self._unloading()
        if not request.inputs:
            raise InvalidRequest("There must be at least one input.", "inputs")
        if len(request.inputs) > MAX_INPUTS:
            raise TooLarge("inputs", MAX_INPUTS, len(request.inputs), "inputs")
        if (size := sum(map(len, request.inputs))) > MAX_CHARACTERS:
            raise TooLarge("inputs", MAX_CHARACTERS, size, "characters")
        if request.dimensions is None:
            return self._config.hidden
        if not 1 <= request.dimensions <= self._config.hidden:
            raise InvalidRequest(f"It must lie between 1 and the model's {self._config.hidden}.", "dimensions")
        return request.dimensions

    async def _tokenize(self, request: EmbedRequest) -> list[Ids]:
        """A slice at a time: the threads serve other callers in between."""
        rows: list[Ids] = []
        for start, end in slices(request.inputs):
            part = request.inputs[start:end]
            rows += await self._in_thread(self._tokenizer.encode, part, start, request.truncate)
        return rows

    async def _in_thread(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Raises ModelUnavailable once the engine is closed, before and after."""
        if self._closed:
            raise self._unloading()
        result = await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        if self._closed:
            raise self._unloading()
        return result

    def _start(self) -> None:
        """The streams start with the first request: `load` runs before there is an event loop."""
        if not self._streams:
            self._streams = [asyncio.create_task(self._compute(i)) for i in range(self._encoder.streams)]

    async def _compute(self, stream: int) -> None:
        """Takes batch after batch, for ever."""
        while True:
            batch = self._queue.take()
            if not batch:
                self._work.clear()
                await self._work.wait()
                continue
            rows = [job.rows[index] for job, piece in batch for index in piece.indices]
            try:
                vectors = await self._in_thread(self._encoder.run, stream, rows)
                if not np.isfinite(vectors).all():
                    raise ArithmeticError("the vectors are not finite")
            except (asyncio.CancelledError, ModelUnavailable):
                _fail(batch, self._unloading())
                raise
            except Exception:
                _log.exception("a batch of embeddings failed")
                _fail(batch, ModelFailed(self._model, "computing the vectors failed"))
                continue
            start = 0
            for job, piece in batch:
                job.fill(piece, vectors[start : start + len(piece.indices)])
                start += len(piece.indices)

    def _unloading(self) -> ModelUnavailable:
        return ModelUnavailable(self._model, "it is being unloaded")


def _fail(batch: Batch, error: Exception) -> None:
    for job, _ in batch:
        job.fail(error)
