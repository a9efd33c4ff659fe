"""The row of facts that each run has, written by the process that runs it."""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, insert, update

from craton.core.job import Running
from craton.training.tracking.environment import Cost, environment
from craton.training.tracking.tables import runs


class Facts:
    """What is known of a run, beside its job's own row. Every change is committed when the call returns."""

    def __init__(self, running: Running) -> None:
        self._running, self._cost = running, Cost()
        self._facts: dict[str, Any] = {
            "environment": environment(),
            "source": running.job.arguments.get("source") or {},
            "parameters": {},
            "cost": {},
        }

    def begin(self, dataset: str, revision: str) -> None:
        """dataset: namespace/name, "" where there is none in the hub. An earlier attempt's row is replaced."""
        job = self._running.job
        values = {"dataset": dataset, "dataset_revision": revision, "model": "", "model_revision": ""}
        with self._running.writing() as context:
            connection = cast("Connection", context)
            connection.execute(runs.delete().where(_is_run(job.tenant, job.id)))
            row = {"tenant": job.tenant, "job": job.id, "facts": self._text(), "created": time.time(), **values}
            connection.execute(insert(runs), row)

    def parameter(self, name: str, value: Any) -> None:
        """Kept with the next write."""
        self._facts["parameters"][name] = value

    def end(self, model: str = "", revision: str = "") -> None:
        """What it cost, and (model, revision) what was published."""
        self._facts["cost"] = self._cost.so_far()
        job = self._running.job
        values = {"facts": self._text(), "model": model, "model_revision": revision}
        with self._running.writing() as context:
            cast("Connection", context).execute(update(runs).where(_is_run(job.tenant, job.id)).values(**values))

    def _text(self) -> str:
        return msgspec.json.encode(self._facts, enc_hook=str).decode()


def _is_run(tenant: str, job: str) -> Any:
    return (runs.c.tenant == tenant) & (runs.c.job == job)
