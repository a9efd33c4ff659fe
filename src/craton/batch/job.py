"""The job's code: one batch from its beginning to its end, however many attempts that takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from craton.batch.answering import Answering, Asked
from craton.batch.keeping import Keeping
from craton.batch.ledger import Ledger
from craton.batch.planning import Inputs
from craton.batch.records import Records
from craton.batch.single import answer_one
from craton.batch.values import Batch, Objects
from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.job import JobLost, Running
from craton.store.database import Database

_ENDED = "ended"  # what is saved when all is written: the result


@dataclass(frozen=True, slots=True)
class BatchParts:
    """folder: where batches keep what is not written out yet. answering: for a batch of records; asked: for a single
    invocation. clock: seconds since the epoch."""

    database: Database
    buckets: Buckets
    folder: Path
    answering: Callable[[Batch], Answering]
    asked: Callable[[Batch], Asked]
    clock: Callable[[], float] = time.time


async def run_batch(running: Running, arguments: Json, parts: BatchParts) -> Json:
    """The counts. Raises CratonError when the batch as a whole failed; what was answered by then is written."""
    ledger = await asyncio.to_thread(
        Ledger, running, parts.database, arguments["kind"], arguments["batch"], parts.clock
    )
    if _ENDED in ledger.state:  # it died between its last write and its end
        result: Json = ledger.state[_ENDED]
        return result
    keeping = Keeping(parts.folder / ledger.batch.id)
    try:
        if ledger.batch.kind == "single":
            counts = await answer_one(ledger, parts.asked(ledger.batch), parts.buckets)
        else:
            inputs = Inputs(parts.buckets, ledger.tenant, ledger.batch.order.input or Objects(""))
            counts = await Records(ledger, parts.answering(ledger.batch), parts.buckets, inputs, keeping).run()
        result = msgspec.to_builtins(counts)
        await ledger.save({_ENDED: result})
    except (JobLost, asyncio.CancelledError):
        raise
    except BaseException:
        await asyncio.to_thread(keeping.remove)
        raise
    await asyncio.to_thread(keeping.remove)
    return result
