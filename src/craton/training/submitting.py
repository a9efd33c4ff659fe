"""Training as it is asked for: checked, its data pinned, queued. Nothing heavy is imported here: the server does it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from craton.core.chat import Json
from craton.core.errors import Unsupported
from craton.core.job import Job, JobSpec
from craton.jobs.executor import ON
from craton.jobs.queue import Jobs
from craton.store.database import Database
from craton.training.data.hub import HubDatasets
from craton.training.data.refs import DatasetRef, read_ref
from craton.training.repositories import PINS
from craton.training.specification.explaining import Explanation, explain
from craton.training.specification.explaining_tuning import explain_tuning
from craton.training.specification.methods import STARTER, Ensemble, Reinforcement, Specification, Transfer
from craton.training.specification.names import SPACES
from craton.training.specification.reading import document_of, method_of, read_any
from craton.training.specification.tuning import RewardTuning, Tuned
from craton.training.tuning.sources import Sources

KIND = "train"


class Trainings:
    """What the dialects and the command line need of training. code: whether code from repositories may run.
    clusters: where jobs may run beside this machine. sources: of the records that language models are tuned on."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        datasets: HubDatasets,
        sources: Sources,
        *,
        code: bool,
        clusters: Collection[str] = (),
    ) -> None:
        self._database, self._jobs, self._datasets, self._code = database, jobs, datasets, code
        self._clusters, self._sources = clusters, sources

    async def submit(self, tenant: str, document: Any, on: str = "", source: Mapping[str, Any] | None = None) -> Job:
        """on: a cluster, "" for this machine. source: the git commit that the document is of, kept with the run.

        Raises InvalidRequest, NotFound for data that is not there (or not read here, or a cluster that is not
        configured: Unsupported), Throttled.
        """
        if on and on not in self._clusters:
            raise Unsupported(f"Running on {on[:50]!r}", "The operator configures a cluster by [ray] in config.toml.")
        spec, arguments = await self._prepared(tenant, document)
        arguments |= {name: value for name, value in ((ON, on), ("source", dict(source or {}))) if value}
        job = JobSpec(tenant, KIND, arguments, subject=subject_of(spec))
        return await asyncio.to_thread(self._submit, job)

    async def prepare(self, tenant: str, document: Any) -> Json:
        """The arguments of a job that trains this, whoever submits it. Raises what `submit` raises."""
        return (await self._prepared(tenant, document))[1]

    async def explain(self, tenant: str, document: Any) -> Explanation:
        """What `submit` would run. Raises the same."""
        spec = self._read(document)
        if isinstance(spec, Tuned):
            return explain_tuning(spec, await self._sources.pin(tenant, spec))
        if isinstance(spec, Reinforcement):
            return explain(spec, "", {}, None, None)
        pinned = await self._pinned(tenant, spec)
        ref = read_ref(pinned)
        if not isinstance(ref, DatasetRef):
            return explain(spec, pinned, {}, None, None)
        stored = await self._datasets.open(tenant, ref, spec.data.config, spec.data.part)
        own_test = None if stored.test is None else stored.test.rows
        return explain(spec, pinned, stored.train.features, stored.train.rows, own_test)

    async def _prepared(self, tenant: str, document: Any) -> tuple[Specification | Tuned, Json]:
        spec = self._read(document)
        if isinstance(spec, Tuned):
            return spec, {"specification": document_of(spec), **(await self._sources.pin(tenant, spec)).arguments()}
        arguments = {"specification": document_of(spec), "pinned": await self._pinned(tenant, spec)}
        pins = await self._sources.pin_repositories(tenant, begins_with(spec))
        return spec, arguments | ({PINS: pins} if pins else {})

    def _read(self, document: Any) -> Specification | Tuned:
        spec = read_any(document)
        if isinstance(spec, RewardTuning) and spec.grader.python and not self._code:
            raise code_refused("A grader that is a Python function")
        if isinstance(spec, Reinforcement) and spec.environment.startswith(SPACES) and not self._code:
            raise code_refused()
        return spec

    async def _pinned(self, tenant: str, spec: Specification) -> str:
        if isinstance(spec, Reinforcement):
            return ""
        ref = read_ref(spec.data.ref)
        if not isinstance(ref, DatasetRef):
            return str(ref)
        if not self._datasets.reads:
            raise Unsupported("Reading datasets here", "Install craton[train].")
        return str(await self._datasets.pinned(tenant, ref))

    def _submit(self, job: JobSpec) -> Job:
        with self._database.write() as connection:
            return self._jobs.submit(connection, job)


def begins_with(spec: Specification) -> tuple[str, ...]:
    """The repositories that a method checks out, as it names them."""
    match spec:
        case Ensemble():
            return tuple(
                member.hub or member.base or STARTER
                for member in spec.members
                if member.hub or member.method == "transfer"
            )
        case Transfer():
            return (spec.base,)
        case Reinforcement() if spec.environment.startswith(SPACES):
            return (spec.environment,)
    return ()


def code_refused(what: str = "An environment from a repository") -> Unsupported:
    return Unsupported(
        what,
        "Its code would run on the server; the operator allows that: `code = true` under [training] in config.toml.",
    )


def subject_of(spec: Specification | Tuned) -> str:
    """For people: "classification of datasets/acme/churn@main -> acme/churn"."""
    what = spec.environment if isinstance(spec, Reinforcement) else spec.data.ref
    goal = f" -> {spec.output.model}" if spec.output.model else ""
    return spec.name or f"{method_of(spec)} of {what}{goal}"
