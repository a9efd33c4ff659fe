"""A job's process over a folder, to be killed. `python ingesting_worker.py DATABASE_URL BLOBS FOLDER JOB`"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from craton.core.model import EmbedAnswer, EmbedRequest
from craton.knowledge.ingesting import pipeline
from craton.serve.inference import Call
from craton.store.database import Database
from tests.knowledge.workshop import EchoEmbedders, Workshop


class Slow(EchoEmbedders):
    """Slow enough for a kill to come between."""

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        await asyncio.sleep(0.05)
        return await super().embed(call, request)


async def main(database: str, blobs: str, folder: str, job: str) -> None:
    pipeline.WINDOW_PIECES = 16
    shop = Workshop(Database(database), Path(blobs), Path(folder), embedders=Slow())
    await shop.work(job)


asyncio.run(main(*sys.argv[1:]))
