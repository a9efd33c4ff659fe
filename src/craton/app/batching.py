"""Batches, put together: for the server, which only takes orders, and for the process of a job."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from craton.app.bodies import chat_bodies
from craton.app.models import RunningModels
from craton.app.platform import Platform
from craton.batch.batches import Batches
from craton.batch.keeping import Keeping
from craton.batch.values import Batch
from craton.core.access import Caller
from craton.customizing.tags import Tags
from craton.serve.inference import Serving
from craton.wire.aws.async_invoking import RESOURCE as ASYNC
from craton.wire.aws.async_invoking import AsyncInvokeOperations
from craton.wire.aws.bedrock.invocation_jobs import RESOURCE as JOBS
from craton.wire.aws.bedrock.invocation_jobs import InvocationJobOperations
from craton.wire.aws.handling import Handle
from craton.wire.aws.names import model_name

if TYPE_CHECKING:
    from craton.batch.job import BatchParts

FOLDER = "batches"
"""In CRATON_HOME: what running batches have answered and not written out yet."""

MOST_AT_ONCE = 64
"""Records that are asked at once, however many an engine takes: more only wait in memory."""

AHEAD = 2
"""Records beside those that the engine works on, so that it need not wait for the next."""


class RunningBatches:
    """`handlers` by service, for the dialect; `owners`: how what can be tagged is found."""

    def __init__(self, platform: Platform, serving: Serving) -> None:
        tags = Tags(platform.database)

        def clean(batch: str) -> None:
            Keeping(platform.home.path / FOLDER / batch).remove()

        parts = (platform.database, platform.jobs, platform.buckets, tags, clean, time.time)
        jobs, single = Batches("records", JOBS, *parts), Batches("single", ASYNC, *parts)
        for batches in (jobs, single):
            platform.jobs.forgetting(batches.forget)
        self.handlers: tuple[tuple[str, Mapping[str, Handle]], ...] = (
            ("bedrock", InvocationJobOperations(jobs, serving).handlers),
            ("bedrock-runtime", AsyncInvokeOperations(single, serving).handlers),
        )
        self.owners = {JOBS: jobs.get, ASYNC: single.get}


@asynccontextmanager
async def batch_parts(platform: Platform) -> AsyncIterator[BatchParts]:
    """What the job needs, with models of its own: it must not hold up those who wait for an answer."""
    from craton.batch.job import BatchParts
    from craton.batch.usage import Usages
    from craton.wire.aws.batching import BodyAnswering, Invocations, RecordAnswering
    from craton.wire.aws.model import load_models
    from craton.wire.aws.service import Service

    service = Service(load_models(("bedrock-runtime",))["bedrock-runtime"])
    usage = Usages()
    models = RunningModels(platform, usage, keep_content=False)
    bodies = chat_bodies(models.inference)
    async with AsyncExitStack() as stack:

        async def load(caller: Caller, model: str) -> int:
            target = await models.directory.find(caller.tenant, model_name(model))
            loaded = await stack.enter_async_context(models.pool.use(target))
            return min(MOST_AT_ONCE, loaded.engine.capabilities.concurrency + AHEAD)

        def invocations(batch: Batch) -> Invocations:
            return Invocations(batch, models.inference, load, service, bodies, usage, time.perf_counter)

        await models.start(warm=False)
        stack.push_async_callback(models.close)
        yield BatchParts(
            platform.database,
            platform.buckets,
            platform.home.path / FOLDER,
            lambda batch: RecordAnswering(invocations(batch)),
            lambda batch: BodyAnswering(invocations(batch)),
        )
