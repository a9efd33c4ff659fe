"""Runs as their owners see them: facts, figures, curves, side by side, and from data to models and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Row, select
from sqlalchemy import func as sql

from craton.core.errors import InvalidRequest, NotFound
from craton.core.job import Job
from craton.jobs.queue import Jobs
from craton.store.database import Database
from craton.training.tracking.tables import points, runs
from craton.training.tracking.telling import KIND

KINDS = ("train", "customize", KIND)  # of jobs: what a specification says, and programs of users' own
MAX_POINTS = 10_000  # of one curve
MAX_COMPARED = 20

Number = float | str
"""A number, or "NaN", "Infinity", "-Infinity": JSON has no word for them."""


class Curve(Struct, frozen=True):
    """steps ascend. total: points there are; fewer are given where more than asked for: evenly thinned, ends kept."""

    name: str
    steps: list[int]
    values: list[Number]
    total: int


class Run(Struct, frozen=True):
    """job: without its arguments, which `specification` holds. figures: of the whole run, by name."""

    id: str
    status: str
    subject: str
    created: float
    started: float | None
    ended: float | None
    error: str
    specification: dict[str, Any]
    data: str
    model: str
    model_revision: str
    figures: dict[str, Number]
    curves: list[str]
    facts: dict[str, Any]
    warnings: list[str]


class Runs:
    """Blocking, safe in threads."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database, self._jobs = database, jobs

    def get(self, tenant: str, run: str) -> Run:
        """run: its id, or so much of its beginning that it is the only one. Raises NotFound, InvalidRequest."""
        job = self._jobs.get(tenant, self.resolve(tenant, run))
        if job.kind not in KINDS:
            raise NotFound("run", run)
        return self._shown(job)

    def recent(self, tenant: str, limit: int, cursor: str) -> tuple[list[Run], str]:
        """The newest first, and where the next page begins ("" at the end)."""
        page = self._jobs.list(tenant, kind=KINDS, limit=limit, cursor=cursor)
        return [self._shown(job) for job in page.jobs], page.cursor

    def resolve(self, tenant: str, run: str) -> str:
        """The whole id. Raises NotFound, InvalidRequest when several begin like this."""
        if not run.isalnum() or len(run) > 32:
            raise NotFound("run", run[:100])
        jobs = self._jobs.starting_with(tenant, run, 2)
        if len(jobs) > 1 and run not in jobs:
            raise InvalidRequest(f"several runs begin with {run!r}; give more of the id", "run")
        if not jobs:
            raise NotFound("run", run)
        return run if run in jobs else jobs[0]

    def curve(self, tenant: str, run: str, name: str, most: int = 500) -> Curve:
        """Raises NotFound for a curve that was not told."""
        mine = (
            (points.c.tenant == tenant) & (points.c.job == run) & (points.c.name == name) & points.c.step.is_not(None)
        )
        with self._database.read() as connection:
            total = connection.scalar(select(sql.count()).where(mine)) or 0
            if not total:
                raise NotFound("curve", name)
            place = sql.row_number().over(order_by=(points.c.step, points.c.number)) - 1
            counted = select(points.c.step, points.c.value, place.label("place")).where(mine).subquery()
            every = math.ceil(total / max(2, most - 1))
            wanted = (counted.c.place % every == 0) | (counted.c.place == total - 1)
            query = select(counted.c.step, counted.c.value).where(wanted).order_by(counted.c.place)
            rows = connection.execute(query).all()
        return Curve(name, [row.step for row in rows], [number(row.value) for row in rows], total)

    def after(self, tenant: str, run: str, last: int, limit: int = 1000) -> list[dict[str, Any]]:
        """The points that were told after number `last`, in their order."""
        mine = _told_by(tenant, run) & (points.c.number > last)
        with self._database.read() as connection:
            rows = connection.execute(select(points).where(mine).order_by(points.c.number).limit(limit)).all()
        return [
            {"number": row.number, "name": row.name, "step": row.step, "value": number(row.value), "time": row.time}
            for row in rows
        ]

    def compare(self, tenant: str, names: Sequence[str], most: int = 60) -> dict[str, Any]:
        """Runs side by side. parameters: only those that differ, by their path in the specification, or as they were
        told. figures: all, by name. curves: by name, one for each run that told it (None for the others)."""
        if not 2 <= len(names) <= MAX_COMPARED:
            raise InvalidRequest(f"from 2 to {MAX_COMPARED} runs are compared", "runs")
        found = [self.get(tenant, name) for name in names]
        flat = [_flat(run.specification) | _told(run) | {"data.revision": run.data} for run in found]
        paths = sorted({path for one in flat for path in one})
        differing = [path for path in paths if len({repr(one.get(path)) for one in flat}) > 1]
        figures = sorted({name for run in found for name in run.figures})
        curves = sorted({name for run in found for name in run.curves})
        return {
            "runs": found,
            "parameters": {path: [one.get(path) for one in flat] for path in differing},
            "figures": {name: [run.figures.get(name) for run in found] for name in figures},
            "curves": {
                name: [self.curve(tenant, run.id, name, most) if name in run.curves else None for run in found]
                for name in curves
            },
        }

    def models_of(self, tenant: str, dataset: str, revision: str = "") -> list[dict[str, Any]]:
        """What was trained on a dataset, the newest first. revision: "" for all of its revisions."""
        mine = (runs.c.tenant == tenant) & (runs.c.dataset == dataset)
        if revision:
            mine &= runs.c.dataset_revision == revision
        with self._database.read() as connection:
            rows = connection.execute(select(runs).where(mine).order_by(runs.c.created.desc()).limit(1000)).all()
        return [_linked(row) for row in rows]

    def origin_of(self, tenant: str, model: str, revision: str) -> dict[str, Any] | None:
        """The run that published this revision; None when none of the tenant's did."""
        mine = (runs.c.tenant == tenant) & (runs.c.model == model) & (runs.c.model_revision == revision)
        with self._database.read() as connection:
            row = connection.execute(select(runs).where(mine)).first()
        return None if row is None else _linked(row)

    def _shown(self, job: Job) -> Run:
        mine = (points.c.tenant == job.tenant) & (points.c.job == job.id)
        with self._database.read() as connection:
            facts = connection.execute(
                select(runs).where((runs.c.tenant == job.tenant) & (runs.c.job == job.id))
            ).first()
            final = select(points.c.name, points.c.value).where(mine, points.c.step.is_(None)).order_by(points.c.number)
            figures = {row.name: number(row.value) for row in connection.execute(final)}
            told = select(points.c.name).where(mine, points.c.step.is_not(None)).distinct()
            curves = sorted(connection.scalars(told))
        result = job.result or {}
        return Run(
            id=job.id,
            status=job.status,
            subject=job.subject,
            created=job.created,
            started=job.started,
            ended=job.ended,
            error=job.error,
            specification=job.arguments.get("specification") or {},
            data=str(job.arguments.get("pinned") or ""),
            model=facts.model if facts else "",
            model_revision=facts.model_revision if facts else "",
            figures=figures,
            curves=curves,
            facts=msgspec.json.decode(facts.facts) if facts else {},
            warnings=list(result.get("warnings") or []),
        )


def _told_by(tenant: str, run: str) -> ColumnElement[bool]:
    return (points.c.tenant == tenant) & (points.c.job == run)


def number(value: float | None) -> Number:
    if value is None or math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _told(run: Run) -> dict[str, Any]:
    """Parameters that the run told of itself, and the state of the source that it ran."""
    facts = run.facts
    return _flat(facts.get("parameters") or {}) | _flat(facts.get("source") or {}, "source")


def _linked(row: Row[Any]) -> dict[str, Any]:
    names = ("dataset", "dataset_revision", "model", "model_revision", "created")
    return {"run": row.job, **{name: getattr(row, name) for name in names}}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """{"model": {"use": "svm"}} -> {"model.use": "svm"}."""
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{path}.{name}" if path else str(name))
    return found
