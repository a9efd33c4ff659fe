"""The code of a training job: read, load, train, write, try out in a fresh process, judge by the gate, publish."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from craton.core.chat import Json
from craton.core.errors import StorageFull
from craton.core.job import Job, Running
from craton.core.predicting import Field
from craton.engines.predictor.protocol import Predictor
from craton.hub.repositories import Hub
from craton.training.artifacts.trial import ROWS, Trial
from craton.training.artifacts.writing import Lineage, write_predictor, write_report
from craton.training.data.bundled import read_bundled
from craton.training.data.embedding import embedded
from craton.training.data.hub import HubDatasets, Table
from craton.training.data.loading import Embedding, columns_needed, tables
from craton.training.data.refs import BundledRef, DatasetRef, read_ref
from craton.training.data.rows import Rows, read_parquet
from craton.training.disk import is_full
from craton.training.ending import finish
from craton.training.methods import LIBRARIES, Train, trainer_for
from craton.training.protocol import Run, Tables, Trained
from craton.training.reports import report
from craton.training.repositories import PINS
from craton.training.specification.methods import Reinforcement, Specification
from craton.training.specification.parts import Data
from craton.training.specification.reading import is_tuning, read
from craton.training.specification.tuning import Tuned

if TYPE_CHECKING:
    import pandas as pd

    from craton.training.tuning.sources import Sources

MADE_UP = 50  # observations


@dataclass(frozen=True, slots=True)
class TrainingParts:
    """What a run is given. start_run: makes its facade, of which `warnings` and `metrics` are read at the end.

    embedding: the model that texts are embedded by (tenant -> it), blocking; raises NotFound when it is not here.
    private: whether a new repository is, where the specification does not say it. sources: of records for tuning.
    """

    hub: Hub
    datasets: HubDatasets
    embedding: Callable[[str], Embedding]
    start_run: Callable[[Running, Specification | Tuned], TrackedRun]
    private: bool
    sources: Sources


class TrackedRun(Run, Protocol):
    """A run that keeps what it was told, and is closed."""

    @property
    def warnings(self) -> list[str]: ...

    def begin(self, dataset: str, revision: str) -> None:
        """Which data it is about to read: namespace/name and revision, both "" where they are not the hub's."""
        ...

    def published(self, model: str, revision: str) -> None: ...

    def close(self) -> None: ...


async def train(running: Running, arguments: Json, parts: TrainingParts) -> Json:
    """arguments: {"specification": the document, "pinned": the data's reference with its revision in full}.

    Raises InvalidRequest, Conflict when the gate does not hold, StorageFull, and what data and methods raise.
    """
    if is_tuning(arguments["specification"]):
        from craton.training.tuning.running import tune

        return await tune(running, arguments, parts)
    spec = read(arguments["specification"])
    trial = Trial(("craton.engines.predictor.loaders", "pandas", *LIBRARIES.get(spec.model.use, ())))
    trial.start()
    importing = asyncio.ensure_future(asyncio.to_thread(trainer_for, spec))  # while the data is looked for
    rows = None
    try:
        if not isinstance(spec, Reinforcement):
            rows = await _open(running.job.tenant, spec.data, str(arguments.get("pinned") or spec.data.ref), parts)
        method = await importing
        return await asyncio.to_thread(_Training(running, spec, parts, method).run, rows, trial)
    except Exception as error:
        if is_full(error):
            raise StorageFull() from error
        raise
    finally:
        await asyncio.wait([importing])
        trial.close()


async def helpers_work(job: Job, parts: TrainingParts) -> Callable[[Run], None]:
    """The same job up to where its method wants help, for a process that gives it: blocks, and ends with Helped."""
    if is_tuning(job.arguments["specification"]):
        from craton.training.tuning.together.helping import help_tuning

        return help_tuning
    spec = read(job.arguments["specification"])
    method = await asyncio.to_thread(trainer_for, spec)
    rows = None
    if not isinstance(spec, Reinforcement):
        rows = await _open(job.tenant, spec.data, str(job.arguments.get("pinned") or spec.data.ref), parts)

    def work(run: Run) -> None:
        loaded = None
        if rows is not None:
            loaded = tables(spec, rows.read(), lambda: parts.embedding(job.tenant), run.warn)
        method(spec, loaded, run)

    return work


@dataclass(frozen=True, slots=True)
class Source:
    """Data that was found and not read yet. read: blocks."""

    name: str
    revision: str
    read: Callable[[], Rows]


async def _open(tenant: str, data: Data, name: str, parts: TrainingParts) -> Source:
    ref = read_ref(name)
    if isinstance(ref, BundledRef):
        return Source(name, "", lambda: read_bundled(ref, data.config, data.limit))
    stored = await parts.datasets.open(tenant, ref, data.config, data.part)
    pinned = DatasetRef(ref.repo, stored.revision)
    return Source(str(pinned), stored.revision, lambda: _read(str(pinned), data, stored.train, stored.test))


def _read(name: str, data: Data, train: Table, test: Table | None) -> Rows:
    columns = columns_needed(data, [*train.features])
    own = None if test is None or data.split is not None else test
    return Rows(
        read_parquet([*train.files], train.features, columns, data.limit),
        None if own is None else read_parquet([*own.files], own.features, columns, None),
        name,
        train.features,
    )


class _Training:
    """One attempt, in a thread of its own."""

    def __init__(self, running: Running, spec: Specification, parts: TrainingParts, method: Train) -> None:
        self._running, self._spec, self._parts, self._train = running, spec, parts, method
        self._tenant = running.job.tenant

    def run(self, source: Source | None, trial: Trial) -> Json:
        run = self._parts.start_run(self._running, self._spec)
        try:
            return self._work(source, run, trial)
        finally:
            run.close()

    def _work(self, source: Source | None, run: TrackedRun, trial: Trial) -> Json:
        run.begin(*_stored_data(source))
        spec, tables_ = self._spec, self._load(source, run)
        run.check()
        trained = self._train(spec, tables_, run)
        name, revision = ("", "") if source is None else (source.name, source.revision)
        pins = self._running.job.arguments.get(PINS) or {}
        bases = tuple(pins.get(base, base) for base in trained.bases)
        lineage = Lineage(self._running.job.id, name, revision, bases)
        with tempfile.TemporaryDirectory(prefix="craton-artifact-") as place:
            folder = trained.folder if trained.folder is not None else Path(place)
            manifest = None
            if trained.predictor is not None:
                manifest = write_predictor(folder, spec, trained.predictor, tables_, lineage)
                compared = trial.begin(folder, trained.predictor, _some_rows(tables_, trained.predictor, run))
            if spec.eval.report:
                trained.figures.extend(report(spec, tables_, trained, run))
            for name, value in trained.metrics.items():
                run.metric(name, value)
            write_report(folder, spec, trained, tables_, lineage, run.warnings, manifest)
            if trained.predictor is not None:
                trial.end()
                run.log(f"loaded again in a fresh process: the same answers on {compared:,} rows")
            published = finish(self._running, spec, trained, folder, run, self._parts)
        return self._result(source, trained, run, published)

    def _load(self, source: Source | None, run: TrackedRun) -> Tables | None:
        if source is None:
            return None
        run.log(f"reading {source.name}")
        loaded = tables(self._spec, source.read(), lambda: self._parts.embedding(self._tenant), run.warn)
        counts = [(len(loaded.train), "train"), (len(loaded.validation), "validation"), (len(loaded.test), "test")]
        run.log(", ".join(f"{count:,} rows to {what}" for count, what in counts if count))
        return loaded

    def _result(self, source: Source | None, trained: Trained, run: TrackedRun, revision: str) -> Json:
        found: dict[str, Any] = {"metrics": trained.metrics, "warnings": run.warnings}
        if source is not None:
            found["data"] = source.name
        if revision:
            found |= {"model": self._spec.output.model, "revision": revision}
        return found


def _stored_data(source: Source | None) -> tuple[str, str]:
    """namespace/name and revision of data that lies in the hub."""
    if source is None or not source.revision:
        return "", ""
    return source.name.removeprefix("datasets/").partition("@")[0], source.revision


def _some_rows(loaded: Tables | None, predictor: Predictor, run: Run) -> pd.DataFrame:
    """Rows as the predictor takes them, that it was not trained on where there are any; made up where there is no
    data at all."""
    if loaded is None:
        return _made_up(predictor.signature.inputs)
    held = loaded.test if len(loaded.test) else loaded.validation if len(loaded.validation) else loaded.train
    few = held.head(ROWS)
    inputs = predictor.signature.inputs
    if not any(field.embedder for field in inputs):
        return few
    return embedded(replace(loaded, train=few, validation=few.head(0), test=few.head(0)), run, inputs).train


def _made_up(fields: tuple[Field, ...]) -> pd.DataFrame:
    """Observations of an environment: any numbers will do, the same ones each time."""
    import numpy as np
    import pandas as pd

    draw = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {}
    for field in fields:
        if field.categories:
            columns[field.name] = draw.choice(np.array(field.categories, dtype=object), MADE_UP).tolist()
        elif field.kind == "integer":
            columns[field.name] = draw.integers(0, 2, MADE_UP).tolist()
        else:
            columns[field.name] = list(draw.standard_normal((MADE_UP, *field.shape)))
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
