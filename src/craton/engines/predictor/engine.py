"""The engine of trained models: one thread asks the library (several where it allows that), and everybody who waits
meanwhile is asked about together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from craton.core.chat import ChatRequest
from craton.core.errors import Damaged, ModelUnavailable, Unsupported
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest, PredictRequest, PredictVerb
from craton.engines.predictor.arranging import taken
from craton.engines.predictor.batching import Job, Waiting
from craton.engines.predictor.drift import Watch, read_reference
from craton.engines.predictor.loaders import load_stored
from craton.engines.predictor.manifest import NAME, read_manifest
from craton.engines.predictor.protocol import Learner, Predictor, Shared
from craton.engines.predictor.tables import Table, joined
from craton.engines.predictor.validating import checked
from craton.engines.protocol import EngineSpec

if TYPE_CHECKING:
    import pandas as pd

CONCURRENCY = 64  # requests that may be here at once: they run together


class PredictorEngine:
    """Implements `craton.engines.protocol.Engine` for one predictor. Belongs to one event loop."""

    def __init__(self, model: str, predictor: Predictor, watch: Watch | None) -> None:
        import pandas as pd

        self._model, self._predictor, self._watch = model, predictor, watch
        self._names = pd.Index([field.name for field in predictor.signature.inputs])
        self._waiting = Waiting()
        self._threads = predictor.threads if isinstance(predictor, Shared) else 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="predictor")
        self._busy, self._working = 0, set[asyncio.Task[None]]()
        self._closed = False

    @classmethod
    def load(cls, spec: EngineSpec) -> PredictorEngine:
        """Blocks while the libraries are imported. Raises Damaged, Unsupported."""
        if NAME not in spec.files:
            raise Damaged(spec.model, f"it has no {NAME}")
        manifest = read_manifest(Path(spec.files[NAME]))
        predictor = load_stored(spec.files, manifest)
        signature = predictor.signature
        reference = read_reference(manifest.parameters)
        return cls(spec.model, predictor, Watch(reference, signature.inputs) if reference else None)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(verbs=tuple(self._predictor.signature.outputs), concurrency=CONCURRENCY)

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        """Raises InvalidRequest that names rows and columns, Unsupported, Throttled."""
        if self._closed:
            raise ModelUnavailable(self._model, "it was unloaded")
        if isinstance(request, PredictRequest) and request.verb not in self._predictor.signature.outputs:
            raise Unsupported(f"{request.verb!r} with {self._model}")
        job = Job(request, asyncio.get_running_loop().create_future())
        self._waiting.add(job)
        if self._busy < self._threads:
            self._busy += 1
            working = asyncio.create_task(self._run())
            self._working.add(working)
            working.add_done_callback(self._working.discard)
        return await job.done

    async def close(self) -> None:
        self._closed = True
        for job in self._waiting.clear():
            if not job.done.done():
                job.done.set_exception(ModelUnavailable(self._model, "it was unloaded"))
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        """Until nothing waits."""
        loop = asyncio.get_running_loop()
        try:
            while batch := self._waiting.take():
                outcomes = await loop.run_in_executor(self._pool, self._answered, [job.request for job in batch])
                for job, outcome in zip(batch, outcomes, strict=True):
                    if job.done.done():
                        continue
                    if isinstance(outcome, Exception):
                        job.done.set_exception(outcome)
                    else:
                        job.done.set_result(outcome)
        finally:
            self._busy -= 1  # at once: who comes now must not count on it

    # --- in the thread ----------------------------------------------------------------------------------------

    def _answered(self, requests: list[PredictorRequest]) -> list[PredictAnswer | Exception]:
        if len(requests) == 1:
            return [self._alone(requests[0])]
        return self._together(cast("list[PredictRequest]", requests))

    def _alone(self, request: PredictorRequest) -> PredictAnswer | Exception:
        try:
            if not isinstance(request, PredictRequest):
                return self._snapshot(Path(request.folder))
            return self._learned(request) if request.verb == "learn" else self._one(request)
        except Exception as error:
            return error

    def _one(self, request: PredictRequest) -> PredictAnswer:
        table = checked(self._predictor.signature.inputs, request.columns)
        names, columns = self._outputs(request.verb, table.frame(self._names))
        return PredictAnswer(names, columns, counted=self._counted(table))

    def _together(self, requests: list[PredictRequest]) -> list[PredictAnswer | Exception]:
        """A request whose rows are wrong is refused alone; when the library fails, each is tried by itself."""
        inputs = self._predictor.signature.inputs
        found: list[PredictAnswer | Exception | None] = [None] * len(requests)
        parts: dict[int, Table] = {}
        for index, request in enumerate(requests):
            try:
                parts[index] = checked(inputs, request.columns)
            except Exception as error:
                found[index] = error
        if parts:
            try:
                table = joined([*parts.values()])
                names, columns = self._outputs(requests[0].verb, table.frame(self._names))
            except Exception:
                return [self._alone(request) for request in requests]
            start, counted = 0, self._counted(table)
            for index in parts:
                end = start + requests[index].rows
                found[index] = PredictAnswer(names, tuple(column[start:end] for column in columns), counted=counted)
                start, counted = end, {}
        return [outcome for outcome in found if outcome is not None]

    def _outputs(self, verb: PredictVerb, rows: pd.DataFrame) -> tuple[tuple[str, ...], tuple[list[Any], ...]]:
        names = tuple(field.name for field in self._predictor.signature.outputs[verb])
        if not len(rows):
            return names, tuple([] for _ in names)
        found = self._predictor.run(verb, rows)
        return names, tuple(found[name].tolist() for name in names)

    def _learned(self, request: PredictRequest) -> PredictAnswer:
        signature = self._predictor.signature
        learner = _learner(self._predictor, self._model)
        *columns, answers = checked(taken(signature, "learn"), request.columns).columns
        rows = Table(columns)
        state = learner.learn(rows.frame(self._names), answers.tolist())
        return PredictAnswer((), (), state=state, counted=self._counted(rows))

    def _snapshot(self, folder: Path) -> PredictAnswer:
        return PredictAnswer((), (), state={"parameters": self._predictor.save(folder)})

    def _counted(self, table: Table) -> dict[str, list[int]]:
        return {} if self._watch is None else self._watch.count(table)

    # --- what it is not -----------------------------------------------------------------------------------------

    def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        raise Unsupported("chatting with a trained predictor")

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        raise Unsupported("embedding with a trained predictor")

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        raise Unsupported("scoring with a trained predictor")

    async def count_tokens(self, request: ChatRequest) -> int:
        raise Unsupported("counting tokens with a trained predictor")


def _learner(predictor: Predictor, model: str) -> Learner:
    if not hasattr(predictor, "learn"):
        raise Unsupported(f"'learn' with {model}")
    return cast("Learner", predictor)
