"""The code of a customization job: the training that any door would start, then its curves in the bucket, then, in one
transaction, the custom model and the end of the job. Nobody sees half of it, whenever the process is killed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace
from sqlalchemy import Connection

from craton.core.chat import Json
from craton.core.errors import CratonError
from craton.core.job import JobCancelled, JobLost, Running
from craton.customizing.curves import Curves
from craton.customizing.following import curve_spans, losses, phases
from craton.customizing.rows import custom_models, customizations, new_id, writing
from craton.customizing.tags import Tags
from craton.customizing.values import Customization, CustomModel, JobStatus
from craton.store.database import Database

log = logging.getLogger("craton.customizing")

Train = Callable[[Running, Json], Awaitable[Json]]
"""The training of these arguments: what it left, {"model", "revision", ...}; the same again when that is there."""


@dataclass(frozen=True, slots=True)
class CustomizeParts:
    """discard: (tenant, repository) -> deletes it; blocking. clock: seconds since the epoch."""

    database: Database
    train: Train
    curves: Curves
    discard: Callable[[str, str], None]
    clock: Callable[[], float] = time.time


async def customize(running: Running, arguments: Json, parts: CustomizeParts) -> Json:
    """arguments: the training's own, and {"customization": its id}. Raises what the training raises."""
    ledger = _Ledger(running, str(arguments["customization"]), parts)
    try:
        one = await asyncio.to_thread(ledger.begin)
        if one.status != "completed":
            if one.trained is None:
                trained = await parts.train(running, arguments)
                one = await asyncio.to_thread(ledger.trained, trained)
            await parts.curves.write(one)
            one = await asyncio.to_thread(ledger.complete)
    except JobCancelled:
        await asyncio.to_thread(ledger.end, "stopped")
        raise
    except JobLost:
        raise
    except CratonError as error:
        await asyncio.to_thread(ledger.end, "failed", str(error))
        raise
    except Exception:
        log.exception("a customization failed")
        await asyncio.to_thread(ledger.end, "failed", "An internal error happened. The log has it.")
        raise
    return one.trained or {}


class _Ledger:
    """The job's row, written only as long as the job is this process's. Blocking."""

    def __init__(self, running: Running, id: str, parts: CustomizeParts) -> None:
        self._running, self._id, self._parts = running, id, parts
        self._tenant = running.job.tenant

    def begin(self) -> Customization:
        with self._parts.database.read() as connection:
            return customizations.find(connection, self._tenant, self._id)

    def trained(self, result: Json) -> Customization:
        """From here on an attempt that is taken up again does not train any more."""
        with writing(self._running) as connection:
            found = customizations.find(connection, self._tenant, self._id)
            spans = curve_spans(connection, self._tenant, found.job)
            now = replace(found, trained=result, losses=losses(spans), updated=self._parts.clock())
            customizations.update(connection, now)
        return now

    def complete(self) -> Customization:
        with writing(self._running) as connection:
            found = customizations.find(connection, self._tenant, self._id)
            assert found.trained is not None
            now = self._parts.clock()
            model = CustomModel(
                id=new_id(),
                tenant=self._tenant,
                name=found.output,
                status="active",
                created=now,
                repo=str(found.trained["model"]),
                revision=str(found.trained["revision"]),
                base=found.base,
                method=found.method,
                customization=found.id,
                losses=found.losses,
                extra=found.extra,
            )
            custom_models.insert(connection, model)
            Tags.put(connection, self._tenant, f"custom-model/{model.id}", found.tags)
            ended = self._ended(connection, replace(found, model=model.id), "completed", "")
            customizations.update(connection, ended)
        return ended

    def end(self, status: JobStatus, failure: str = "") -> None:
        """What was published already goes: nobody has seen it as a custom model."""
        with writing(self._running) as connection:
            found = customizations.find(connection, self._tenant, self._id)
            customizations.update(connection, self._ended(connection, found, status, failure))
        if found.trained is not None:
            self._parts.discard(self._tenant, str(found.trained["model"]))

    def _ended(self, connection: Connection, found: Customization, status: JobStatus, failure: str) -> Customization:
        now, spans = self._parts.clock(), curve_spans(connection, self._tenant, found.job)
        return replace(
            found,
            status=status,
            failure=failure,
            updated=now,
            ended_at=now,
            phases=phases(self._running.job.started, now, spans, status),
            losses=losses(spans),
        )
