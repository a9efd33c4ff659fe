"""How far a customization is: read from the queue's row of it and from the curves that its training tells.

Nothing of it is kept twice while it runs: the first point of a curve is when that part began, the last one how far it
is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from craton.core.job import Job
from craton.customizing.values import Customization, JobStatus, Losses, Phase, Phases, PhaseStatus
from craton.training.tracking.tables import points

TRAINING, VALIDATION, EPOCH = "training_loss", "validation_loss", "epoch"
REWARD = "validation_reward"
"""What is validated where a grader says how good an answer is."""


class Span(NamedTuple):
    """Of a curve: when it was first and last told, and its last value."""

    first: float
    last: float
    value: float | None


def follow(connection: Connection, kept: Customization, job: Job | None) -> Customization:
    """The row of one that has not ended, as it is now. job: None when the queue knows it no more."""
    if job is None:
        return replace(kept, status="failed", failure="Its job is gone.", ended_at=kept.updated)
    status = _status(job)
    spans = curve_spans(connection, kept.tenant, kept.job)
    times = [time for time in (job.started, job.ended, *(span.last for span in spans.values())) if time]
    return replace(
        kept,
        status=status,
        failure=job.error,
        ended_at=job.ended,
        updated=max([kept.updated, *times]),
        phases=phases(job.started, job.ended, spans, status),
        losses=losses(spans),
    )


def phases(started: float | None, ended: float | None, spans: dict[str, Span], status: JobStatus) -> Phases:
    if started is None:
        return Phases()
    now: PhaseStatus = status
    training, validation = spans.get(TRAINING), spans.get(VALIDATION) or spans.get(REWARD)
    if training is None:
        return Phases(Phase(now, started, ended or started))
    return Phases(
        Phase("completed", started, training.first),
        Phase(now, training.first, ended or training.last),
        Phase() if validation is None else Phase(now, validation.first, validation.last),
    )


def losses(spans: dict[str, Span]) -> Losses:
    values = [None if (span := spans.get(name)) is None else span.value for name in (TRAINING, VALIDATION)]
    return Losses(*values)


def curve_spans(connection: Connection, tenant: str, job: str) -> dict[str, Span]:
    """Of the curves that matter here, those that were told."""
    mine: Any = (points.c.tenant == tenant) & (points.c.job == job) & points.c.step.is_not(None)
    found: dict[str, Span] = {}
    for name in (TRAINING, VALIDATION, REWARD):
        of_curve = mine & (points.c.name == name)
        first, last = connection.execute(select(sql.min(points.c.time), sql.max(points.c.time)).where(of_curve)).one()
        if first is not None:
            newest = select(points.c.value).where(of_curve).order_by(points.c.step.desc(), points.c.number.desc())
            found[name] = Span(first, last, connection.scalar(newest.limit(1)))
    return found


def _status(job: Job) -> JobStatus:
    if job.status == "failed":
        return "failed"
    if job.status == "cancelled":
        return "stopped"
    return "stopping" if job.cancelling else "in_progress"
