"""The only way to a model: resolve, admit, guard, run, meter.

Dialects call `Inference` and nothing below it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from craton.core.access import Caller
from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, Unsupported
from craton.core.events import Event, Usage
from craton.core.model import (
    ClassifyRequest,
    EmbedAnswer,
    EmbedRequest,
    ModelInfo,
    NextRequest,
    ScoreAnswer,
    ScoreRequest,
    Verb,
)
from craton.core.predicting import PredictAnswer, PredictRequest, Signature
from craton.core.streams import closing
from craton.engines.predictor.arranging import arranged, packed, taken, unportable
from craton.serve.counting import Counting
from craton.serve.deadline import by, until
from craton.serve.directory import Directory
from craton.serve.drifting import DriftReport
from craton.serve.guarding import guard
from craton.serve.learning import Snapshot
from craton.serve.metering import Meter, Record
from craton.serve.pool import Pool
from craton.serve.predicting import Embed, asked, told, with_vectors
from craton.serve.predictors import Predictors
from craton.serve.pricing import Prices
from craton.serve.refusals import refuse_contradictions, refuse_unmet, refuse_verb
from craton.serve.target import Target


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


class Scoring(Serving, Protocol):
    """What those need besides who ask for labels and masks."""

    async def score(self, call: Call, request: ScoreRequest) -> ScoreAnswer: ...


class Predicting(Serving, Protocol):
    """What those need besides who ask trained models about rows."""

    async def predict(self, call: Call, request: PredictRequest) -> PredictAnswer:
        """Raises InvalidRequest that names columns, or rows and columns; Unsupported for a verb it does not know."""
        ...

    async def signature(self, caller: Caller, name: str) -> tuple[ModelInfo, Signature]:
        """What a model takes and gives. Raises NotFound; Unsupported for a model of another kind."""
        ...

    async def snapshot(self, call: Call, name: str) -> Snapshot:
        """What the model learned while serving, as a revision. Raises Unsupported, Forbidden, Stale."""
        ...

    async def drift(self, caller: Caller, name: str) -> DriftReport: ...


class SchemaChecker(Protocol):
    """Compiles what a request brings in a disposable process first (a bad schema must hurt nobody else)."""

    async def check_request(self, request: ChatRequest) -> None:
        """Raises InvalidRequest."""
        ...


class Tracer(Protocol):
    """Is told of each finished record (OpenTelemetry, metrics)."""

    def finished(self, record: Record) -> None: ...


class Inference:
    """Everything comes by constructor. compiles: engines that compile a request's schemas in native code.

    predictors: None where there are no trained models."""

    def __init__(
        self,
        directory: Directory,
        pool: Pool,
        counting: Counting,
        meter: Meter,
        checker: SchemaChecker,
        prices: Prices,
        tracer: Tracer,
        clock: Callable[[], float],
        predictors: Predictors | None = None,
        *,
        deadline: float = 600.0,
        compiles: frozenset[str] = frozenset({"llama_cpp"}),
    ) -> None:
        self._directory = directory
        self._pool = pool
        self._counting = counting
        self._meter = meter
        self._checker = checker
        self._prices = prices
        self._tracer = tracer
        self._clock = clock
        self._predictors = predictors
        self._deadline = deadline
        self._compiles = compiles

    async def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        with self._recorded(call, request) as record:
            refuse_contradictions(request)
            ends = asyncio.get_running_loop().time() + self._seconds(call)
            target = await self._resolve(call, request.model, record)
            refuse_verb(target.info, "chat")
            if target.info.engine in self._compiles:
                await by(ends, self._checker.check_request(request), self._seconds(call))
            async with self._pool.use(target, ends) as loaded:
                refuse_unmet(target.info, loaded.engine.capabilities, request)
                async with loaded.slot(target, ends):
                    chosen = replace(request, model=target.info.id, adapter=target.adapter)
                    events = guard(loaded.engine.chat(chosen))
                    async with closing(until(ends, events, self._seconds(call))) as timed:
                        async for event in timed:
                            record.observe(event, self._clock())
                            yield event

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        with self._recorded(call, request) as record:
            target = await self._resolve(call, request.model, record)
            refuse_verb(target.info, "embed")
            ends = asyncio.get_running_loop().time() + self._seconds(call)
            async with self._pool.use(target, ends) as loaded, loaded.slot(target, ends):
                embedding = loaded.engine.embed(replace(request, model=target.info.id))
                answer = await by(ends, embedding, self._seconds(call))
            record.usage = Usage(sum(answer.tokens), 0, estimated=answer.estimated)
            return answer

    async def score(self, call: Call, request: ScoreRequest) -> ScoreAnswer:
        with self._recorded(call, request) as record:
            target = await self._resolve(call, request.model, record)
            refuse_verb(target.info, _verb(request))
            ends = asyncio.get_running_loop().time() + self._seconds(call)
            async with self._pool.use(target, ends) as loaded, loaded.slot(target, ends):
                scoring = loaded.engine.score(_asked(request, target))
                answer = await by(ends, scoring, self._seconds(call))
            record.usage = Usage(sum(answer.tokens), 0)
            return answer

    async def predict(self, call: Call, request: PredictRequest) -> PredictAnswer:
        with self._recorded(call, request) as record:
            record.request = asked(request)
            target = await self._resolve(call, request.model, record)
            refuse_verb(target.info, request.verb)
            predictors = self._known_predictors
            signature = predictors.signature(target.info)
            if request.verb == "learn":
                predictors.refuse_to_teach(call.caller.tenant, target, request.model)
            ends = asyncio.get_running_loop().time() + self._seconds(call)
            rows = arranged(signature, replace(request, model=target.info.id))
            rows = await by(ends, with_vectors(signature, rows, self._embedding(call)), self._seconds(call))
            target = await predictors.living(target, request.model)
            async with self._pool.use(target, ends) as loaded, loaded.slot(target, ends):
                sent = packed(taken(signature, rows.verb), rows)
                try:
                    answer = await by(ends, loaded.engine.predict(sent), self._seconds(call))
                except OverflowError:
                    raise unportable(rows) from None
            predictors.drift.add(target, answer.counted)
            record.answer = told(answer)
            return answer

    async def signature(self, caller: Caller, name: str) -> tuple[ModelInfo, Signature]:
        info = await self.model(caller, name)
        return info, self._known_predictors.signature(info)

    async def snapshot(self, call: Call, name: str) -> Snapshot:
        target = await self._directory.find(call.caller.tenant, name)
        refuse_verb(target.info, "learn")
        predictors = self._known_predictors
        predictors.refuse_to_teach(call.caller.tenant, target, name)
        target = await predictors.living(target, name)
        if not self._pool.holds(target):
            return Snapshot(target.info.revision, 0)
        async with self._pool.use(target) as loaded:
            return await predictors.save(loaded.engine, call.caller)

    async def drift(self, caller: Caller, name: str) -> DriftReport:
        target = await self._directory.find(caller.tenant, name)
        predictors = self._known_predictors
        predictors.signature(target.info)
        target = await predictors.living(target, name)
        return await asyncio.to_thread(predictors.drift.report, target)

    async def count_tokens(self, call: Call, request: ChatRequest) -> int:
        refuse_contradictions(request)
        target = await self._directory.find(call.caller.tenant, request.model)
        refuse_verb(target.info, "chat")
        return await self._counting.count(target, replace(request, model=target.info.id, adapter=target.adapter))

    async def models(self, caller: Caller) -> list[ModelInfo]:
        return [target.info for target in await self._directory.targets(caller.tenant)]

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        return (await self._directory.find(caller.tenant, name)).info

    @property
    def _known_predictors(self) -> Predictors:
        if self._predictors is None:
            raise Unsupported("Asking trained models here")
        return self._predictors

    def _embedding(self, call: Call) -> Embed:
        """Texts of rows are embedded by calls of their own, whose ids say of which request they are parts."""
        numbers = count(1)

        async def embed(request: EmbedRequest) -> EmbedAnswer:
            return await self.embed(replace(call, request_id=f"{call.request_id[:58]}.{next(numbers)}"), request)

        return embed

    def _seconds(self, call: Call) -> float:
        return call.deadline or self._deadline

    async def _resolve(self, call: Call, name: str, record: Record) -> Target:
        target = await self._directory.find(call.caller.tenant, name)
        record.resolved = target.info.id
        record.revision = target.info.revision
        record.engine = target.info.engine
        return target

    @contextmanager
    def _recorded(
        self, call: Call, request: ChatRequest | EmbedRequest | ScoreRequest | PredictRequest
    ) -> Iterator[Record]:
        """Every request leaves a row, however it ends."""
        record = Record(
            tenant=call.caller.tenant,
            id=call.request_id,
            key_id=call.caller.key_id,
            started=self._clock(),
            dialect=call.dialect,
            operation=call.operation,
            model=request.model,
            request=request,
        )
        try:
            yield record
        except CratonError as error:
            record.status, record.error = "error", type(error).__name__
            raise
        except (asyncio.CancelledError, GeneratorExit):
            record.status = "cancelled"
            raise
        except Exception:
            record.status, record.error = "error", "Internal"
            raise
        finally:
            record.seconds = self._clock() - record.started
            record.cost = self._prices.cost(record.resolved, record.usage)
            self._meter.add(record)
            self._tracer.finished(record)


def _verb(request: ScoreRequest) -> Verb:
    """What a model must be able to do; one that chats knows which token comes next."""
    if isinstance(request, NextRequest):
        return "chat"
    return "classify" if isinstance(request, ClassifyRequest) else "fill"


def _asked(request: ScoreRequest, target: Target) -> ScoreRequest:
    if isinstance(request, NextRequest):
        return replace(request, model=target.info.id, adapter=target.adapter)
    return replace(request, model=target.info.id)
