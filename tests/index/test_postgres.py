"""Indexes in PostgreSQL when something breaks: kill -9 while they are written, a server that does not answer."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from craton.core.errors import Throttled
from craton.index.postgres import PostgresIndexes
from craton.index.postgres.statements import Statements
from craton.index.protocol import Search
from tests.index.worlds import DIMENSIONS, TENANT, unit
from tests.index.writing_worker import BATCH, BATCHES, SPEC, removed, write

pytestmark = pytest.mark.anyio

KILLS = 5


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the index's tables, and how many points the registry says that there are."""
    tables = Statements(TENANT, SPEC.name, DIMENSIONS).tables
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = {
            name.rpartition("_")[2]: sorted(
                (tuple(row) for row in connection.exec_driver_sql(f"SELECT t::text FROM {name} t")), key=repr
            )
            for name in tables
        }
        found["registry"] = [tuple(row) for row in connection.exec_driver_sql("SELECT points FROM craton_indexes")]
    engine.dispose()
    return found


def write_and_die(url: str, round: int, seconds: float) -> int:
    """How many batches a process said to be written until it was killed."""
    command = [sys.executable, "-m", "tests.index.writing_worker", url, str(round)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline()]  # it is in the middle of it
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    return len([line for line in said if line.strip()])


async def test_killed_while_it_is_written_an_index_is_whole_and_the_same_in_the_end(postgres_url: str) -> None:
    chance = random.Random(7)
    for round in range(KILLS):
        written = await asyncio.to_thread(write_and_die, postgres_url, round, chance.uniform(0.0, 0.4))
        indexes = PostgresIndexes(postgres_url)
        index = await indexes.open(SPEC)
        now = contents(postgres_url)
        assert now["registry"] == [(len(now["points"]),)]
        assert await index.count() == len(now["points"]) >= max(0, written * (BATCH - 2))
        found = await index.search(Search(TENANT, 2000, vector=unit(1)[0].tobytes(), text=f"round{round}"))
        gone = {one for number in range(written) for one in removed(number)}
        assert not gone & {hit.id for hit in found.dense}
        acknowledged = set(range(1, written * BATCH + 1)) - gone
        assert acknowledged <= {hit.id for hit in found.lexical}
        await indexes.close()
    await write(postgres_url, 99)
    killed = contents(postgres_url)
    indexes = PostgresIndexes(postgres_url)
    await indexes.drop(SPEC)
    await indexes.close()
    await write(postgres_url, 99)
    assert contents(postgres_url) == killed
    assert killed["registry"] == [(BATCHES * (BATCH - 2),)]


async def test_a_server_that_does_not_answer_takes_no_threads_from_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        port = silent.getsockname()[1]
        indexes = PostgresIndexes(f"postgresql://nobody@127.0.0.1:{port}/nothing?connect_timeout=2")
        opening = [asyncio.ensure_future(indexes.open(SPEC)) for _ in range(40)]
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(20)))
        assert time.monotonic() - began < 1.5
        first = (await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED))[0]
        assert all(isinstance(done.exception(), Throttled) for done in first)
        for one in opening:
            one.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        await indexes.close()
