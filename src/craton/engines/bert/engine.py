"""The engine of encoders: requests from several callers, computed together, answered in each one's order."""

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
from craton.core.model import (
    Capabilities,
    ClassifyRequest,
    EmbedAnswer,
    EmbedRequest,
    FillRequest,
    NextRequest,
    ScoreAnswer,
    ScoreRequest,
)
from craton.engines.bert.adapting import adapted
from craton.engines.bert.arrays import Array, Ids
from craton.engines.bert.config import BertConfig, Task
from craton.engines.bert.encoder import Encoder, Options, unit
from craton.engines.bert.graph import build_graph
from craton.engines.bert.masking import Masks
from craton.engines.bert.queue import Batch, Job, Queue, cut
from craton.engines.bert.scoring import MAX_TOP, classified, filled
from craton.engines.bert.tokenizing import BertTokenizer, slices
from craton.engines.bert.weights import read_weights
from craton.engines.protocol import EngineSpec

MAX_INPUTS = 16_384
MAX_CHARACTERS = 64 << 20
"""Of one request, all inputs together."""

MAX_SCORED = 256
"""Inputs of one request for labels or masks: each may cost a number for every token of the vocabulary."""

_BATCH_TOKENS = 1024
"""Batches of 4,096 were a tenth faster (69 to 63 docs/s), but a lone query then waits 0.6 s for a stream, not 0.15."""
_CAPACITY = 8 << 20
_TOKENIZING_THREADS = 2
_T = TypeVar("_T")
Inputs = tuple[str | tuple[int, ...], ...]
_log = logging.getLogger(__name__)


class BertEngine:
    """Implements `craton.engines.protocol.Engine` for one BERT encoder. Belongs to one event loop."""

    def __init__(
        self, model: str, config: BertConfig, tokenizer: BertTokenizer, encoder: Encoder, masks: Masks | None = None
    ) -> None:
        """masks: of a model that fills them."""
        self._model, self._config, self._tokenizer, self._encoder = model, config, tokenizer, encoder
        self._masks = masks
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
        config = BertConfig.read(spec.files, _task(spec))
        tokenizer = BertTokenizer.load(spec.files, config, spec.model)
        masks = Masks.load(spec.files, tokenizer) if config.task == "fill" else None
        weights = adapted(read_weights(spec.files, config), spec.files, config.family)
        graph = build_graph(config, weights, masks.id if masks else -1)
        encoder = Encoder(graph, options, normal=config.task == "embed")
        return cls(spec.model, config, tokenizer, encoder, masks)

    @property
    def capabilities(self) -> Capabilities:
        """concurrency: requests are batched together, so it is more than the streams."""
        return Capabilities(verbs=(self._config.task,), concurrency=64)

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        """Raises InvalidRequest, TooLarge, ContextExceeded unless `truncate`, Throttled, ModelFailed."""
        if self._config.task != "embed":
            raise Unsupported(f"Embedding with {self._model}")
        self._check(request.inputs, MAX_INPUTS)
        dimensions = self._dimensions(request)
        rows = await self._tokenize(request.inputs, request.truncate)
        vectors = await self._computed(rows)
        if dimensions < self._config.hidden:
            vectors = unit(vectors[:, :dimensions])
        return EmbedAnswer(vectors.astype("<f4").tobytes(), dimensions, tuple(map(len, rows)))

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        """Raises what `embed` does."""
        self._check(request.inputs, MAX_SCORED)
        if isinstance(request, NextRequest):
            raise Unsupported(f"Telling the next token with {self._model}, which reads texts whole", "Use `fill`.")
        if isinstance(request, ClassifyRequest):
            return await self._classify(request)
        return await self._fill(request)

    async def _classify(self, request: ClassifyRequest) -> ScoreAnswer:
        labels = self._config.labels
        if labels is None:
            raise Unsupported(f"Classifying with {self._model}")
        rows = await (self._joined(request) if request.seconds else self._tokenize(request.inputs, request.truncate))
        logits = await self._computed(rows)
        return ScoreAnswer(await self._in_thread(classified, request, labels, logits), tuple(map(len, rows)))

    async def _fill(self, request: FillRequest) -> ScoreAnswer:
        if self._masks is None:
            raise Unsupported(f"Filling masks with {self._model}")
        if not 1 <= request.top <= MAX_TOP:
            raise InvalidRequest(f"it must lie between 1 and {MAX_TOP}", "top")
        targets = await self._in_thread(self._masks.targets, request.targets)
        rows = await self._tokenize(request.inputs, False)
        self._masks.check(rows)
        logits = await self._computed(rows)
        scores = await self._in_thread(filled, self._masks, rows, logits, targets, request.top)
        return ScoreAnswer(scores, tuple(map(len, rows)))

    async def _computed(self, rows: list[Ids]) -> Array:
        """What comes out for each row."""
        pieces = await self._in_thread(cut, rows, _BATCH_TOKENS)
        job = Job(rows, pieces, self._config.width, asyncio.get_running_loop().create_future())
        self._queue.add(job)
        self._start()
        self._work.set()
        try:
            await job.done
        finally:
            self._queue.drop(job)  # of a caller that left
        return job.vectors

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

    def _check(self, inputs: Inputs, most: int) -> None:
        if self._closed:
            raise self._unloading()
        if not inputs:
            raise InvalidRequest("There must be at least one input.", "inputs")
        if len(inputs) > most:
            raise TooLarge("inputs", most, len(inputs), "inputs")
        if (size := sum(map(len, inputs))) > MAX_CHARACTERS:
            raise TooLarge("inputs", MAX_CHARACTERS, size, "characters")

    def _dimensions(self, request: EmbedRequest) -> int:
        """Those to answer with."""
        if request.dimensions is None:
            return self._config.hidden
        if not 1 <= request.dimensions <= self._config.hidden:
            raise InvalidRequest(f"It must lie between 1 and the model's {self._config.hidden}.", "dimensions")
        return request.dimensions

    async def _tokenize(self, inputs: Inputs, truncate: bool) -> list[Ids]:
        """A slice at a time: the threads serve other callers in between."""
        rows: list[Ids] = []
        for start, end in slices(inputs):
            rows += await self._in_thread(self._tokenizer.encode, inputs[start:end], start, truncate)
        return rows

    async def _joined(self, request: ClassifyRequest) -> list[Ids]:
        if len(request.seconds) != len(request.inputs):
            raise InvalidRequest(f"there are {len(request.seconds)}, and {len(request.inputs)} inputs", "seconds")
        self._check(request.seconds, MAX_SCORED)
        pairs = list(zip(request.inputs, request.seconds, strict=True))
        rows: list[Ids] = []
        for start, end in slices(request.seconds):
            rows += await self._in_thread(self._tokenizer.encode_pairs, pairs[start:end], start, request.truncate)
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
                    raise ArithmeticError("the answers are not finite")
            except (asyncio.CancelledError, ModelUnavailable):
                _fail(batch, self._unloading())
                raise
            except Exception:
                _log.exception("a batch failed")
                _fail(batch, ModelFailed(self._model, "computing the answers failed"))
                continue
            start = 0
            for job, piece in batch:
                job.fill(piece, vectors[start : start + len(piece.indices)])
                start += len(piece.indices)

    def _unloading(self) -> ModelUnavailable:
        return ModelUnavailable(self._model, "it is being unloaded")


def _task(spec: EngineSpec) -> Task:
    """What the model was described as."""
    for verb in ("classify", "fill"):
        if verb in spec.info.verbs:
            return verb
    return "embed"


def _fail(batch: Batch, error: Exception) -> None:
    for job, _ in batch:
        job.fail(error)
