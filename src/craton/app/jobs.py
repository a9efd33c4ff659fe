"""Which kinds of jobs there are, and the process that runs one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from craton.app.platform import Platform
from craton.children.importing import uncollected
from craton.core.chat import Json
from craton.core.job import Running
from craton.jobs.running import Handler, run


def handlers(platform: Platform) -> Mapping[str, Handler]:
    """Kind -> the code that runs it. What a kind needs it opens itself when it runs, and closes at its end."""

    async def ingesting(running: Running) -> Json:
        from craton.app.knowledge import ingest_parts
        from craton.knowledge.ingesting.job import ingest

        async with ingest_parts(platform) as parts:
            return await ingest(running, running.job.arguments, parts)

    async def reindexing(running: Running) -> Json:
        from craton.knowledge.reindexing import reindex

        return await reindex(running, running.job.arguments, platform.database)

    async def scrubbing(running: Running) -> Json:
        from craton.app.keeping import scrub

        return await scrub(running, platform)

    async def collecting(running: Running) -> Json:
        from craton.app.keeping import collect

        return await collect(running, platform)

    async def training(running: Running) -> Json:
        with uncollected():
            from craton.app.training import training_parts
            from craton.training.running import train

        async with training_parts(platform) as parts:
            return await train(running, running.job.arguments, parts)

    async def customizing(running: Running) -> Json:
        from craton.app.customizing import customize_parts
        from craton.customizing.job import customize

        async with customize_parts(platform) as parts:
            return await customize(running, running.job.arguments, parts)

    async def bringing(running: Running) -> Json:
        from craton.app.customizing import bring_parts
        from craton.customizing.bringing import bring

        return await bring(running, running.job.arguments, bring_parts(platform))

    async def importing(running: Running) -> Json:
        from craton.app.conversion import import_parts
        from craton.customizing.importing.job import import_model

        return await import_model(running, running.job.arguments, import_parts(platform))

    async def quantising(running: Running) -> Json:
        from craton.app.conversion import quantise_parts
        from craton.conversion.job import quantise_model

        return await quantise_model(running, running.job.arguments, quantise_parts(platform))

    async def batching(running: Running) -> Json:
        from craton.app.batching import batch_parts
        from craton.batch.job import run_batch

        async with batch_parts(platform) as parts:
            return await run_batch(running, running.job.arguments, parts)

    async def scripts(running: Running) -> Json:
        """Never runs the program: it is its owner's to run, and comes here only when its tracker fell silent."""
        from craton.training.tracking.scripts import found_lost

        return await found_lost(running)

    return {
        "train": training,
        "customize": customizing,
        "custom-model": bringing,
        "import-model": importing,
        "quantise-model": quantising,
        "batch": batching,
        "script": scripts,
        "ingest": ingesting,
        "reindex": reindexing,
        "scrub": scrubbing,
        "collect": collecting,
    }


def run_job(platform: Platform, job: str, fence: int | None) -> bool:
    """Whether this process had the job. See `jobs.running.run`."""
    return asyncio.run(run(platform.jobs, job, handlers(platform), fence))


def help_with(platform: Platform, tenant: str, job: str, leader: str) -> None:
    """leader: HOST:PORT. Returns when there is nothing left to help with; threads may still be at it."""
    from craton.app.training import helping

    asyncio.run(helping(platform, platform.jobs.get(tenant, job), leader))
