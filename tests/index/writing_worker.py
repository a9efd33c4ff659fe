"""Writes the index of a PostgreSQL until it is killed: `python -m tests.index.writing_worker URL ROUND`.

Says each batch's number once it is written."""

from __future__ import annotations

import asyncio
import sys

from craton.index.postgres import PostgresIndexes
from craton.index.protocol import IndexSpec, Point
from tests.index.worlds import DIMENSIONS, TENANT, point

SPEC = IndexSpec(TENANT, "killed-1", DIMENSIONS)
BATCHES, BATCH = 40, 25


def batch(number: int, round: int) -> list[Point]:
    """Points that each round writes anew, with other words and metadata."""
    first = number * BATCH + 1
    return [
        point(one, f"shared word{one % 9} round{round}", {"round": float(round), "team": f"t{one % 3}"})
        for one in range(first, first + BATCH)
    ]


def removed(number: int) -> list[int]:
    """What is taken out of a batch once it is in."""
    return [number * BATCH + 1, number * BATCH + 2]


async def write(url: str, round: int) -> None:
    indexes = PostgresIndexes(url)
    index = await indexes.open(SPEC)
    for number in range(BATCHES):
        await index.upsert(batch(number, round))
        await index.delete(removed(number))
        print(number, flush=True)
    await indexes.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
