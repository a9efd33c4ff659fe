"""A job's process: counts, crashes, or does not listen.

`python counting_worker.py DATABASE_URL ID --fence N [--parent P]`
What `count` counts stands in the table `counted`, whose key makes counting twice an error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from sqlalchemy import text

from craton.children.limits import die_with
from craton.core.chat import Json
from craton.core.errors import Unsupported
from craton.core.job import Progress, Running
from craton.jobs.queue import Jobs
from craton.jobs.running import run
from craton.store.database import Database


async def counting(running: Running) -> Json:
    """arguments: to, pause (seconds)."""
    to, job = running.job.arguments["to"], running.job.id
    begin = (running.load() or {"at": 0})["at"]
    for number in range(begin + 1, to + 1):
        running.check()
        with running.writing() as connection:
            values = {"job": job, "number": number, "pid": os.getpid()}
            there = connection.execute(text("SELECT 1 FROM counted WHERE job = :job AND number = :number"), values)
            if there.first() is None:
                connection.execute(text("INSERT INTO counted VALUES (:job, :number, :pid)"), values)
        running.save({"at": number})
        running.report(Progress(number, to, "numbers"))
        await asyncio.sleep(running.job.arguments["pause"])
    return {"counted": to, "resumed_at": begin}


async def crashing(_: Running) -> Json:
    print("these are its last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


async def deaf(running: Running) -> Json:
    running.report(Progress(1))
    time.sleep(600)  # noqa: ASYNC251 - it is meant to hold everything up
    return {}


async def waiting(running: Running) -> Json:
    running.report(Progress(1))
    while True:
        running.check()
        await asyncio.sleep(0.02)


async def refusing(_: Running) -> Json:
    raise Unsupported("what was asked")


async def breaking(_: Running) -> Json:
    raise RuntimeError("a secret of the code's")


HANDLERS = {
    "count": counting,
    "crash": crashing,
    "deaf": deaf,
    "wait": waiting,
    "refuse": refusing,
    "break": breaking,
}


def main() -> None:
    url, job, _, fence, *parent = sys.argv[1:]
    if parent:
        die_with(int(parent[1]))
    database = Database(url)
    asyncio.run(run(Jobs(database, time.time, lambda: ""), job, HANDLERS, int(fence)))
    database.close()


if __name__ == "__main__":
    main()
