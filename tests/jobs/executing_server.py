"""A server that does nothing but run jobs, until it is killed. `python executing_server.py DATABASE_URL`"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from craton.jobs.executor import ExecutorLimits, LocalExecutor
from craton.jobs.queue import Jobs
from craton.store.database import Database


async def main() -> None:
    database = Database(sys.argv[1])
    worker = Path(__file__).with_name("counting_worker.py")
    executor = LocalExecutor(
        Jobs(database, time.time, lambda: ""),
        (sys.executable, "-s", str(worker), sys.argv[1]),
        os.environ,
        {},
        ExecutorLimits(2, crashes=1000),
    )
    executor.start()
    await asyncio.sleep(600)


asyncio.run(main())
