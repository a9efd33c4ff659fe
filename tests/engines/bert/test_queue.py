"""Turns and bounds of the waiting work."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from craton.core.errors import Throttled
from craton.engines.bert.queue import Batch, Job, Queue, cut

pytestmark = pytest.mark.anyio


def job(*lengths: int) -> Job:
    rows = [np.zeros(length, dtype=np.int32) for length in lengths]
    return Job(rows, cut(rows, 100), 4, asyncio.get_running_loop().create_future())


def test_pieces_hold_every_row_once_within_the_budget() -> None:
    lengths = [3, 90, 20, 20, 7, 150, 1, 50, 50]
    pieces = cut([np.zeros(length, dtype=np.int32) for length in lengths], 100)
    assert sorted(index for piece in pieces for index in piece.indices) == list(range(len(lengths)))
    assert all(piece.longest * len(piece.indices) <= 100 or len(piece.indices) == 1 for piece in pieces)
    assert sum(piece.tokens for piece in pieces) == sum(lengths)


async def test_small_requests_go_first_but_never_starve_the_large() -> None:
    queue = Queue(100, 10_000)
    large = job(*[60] * 20)
    queue.add(large)
    for _ in range(12):
        queue.add(job(60))
    taken = [queue.take()[0][0] is large for _ in range(12)]
    assert not taken[0]
    assert taken.count(True) == 3


async def test_large_requests_take_turns() -> None:
    queue = Queue(100, 10_000)
    first, second = job(*[60] * 3), job(*[60] * 3)
    queue.add(first)
    queue.add(second)
    assert [queue.take()[0][0] for _ in range(6)] == [first, second] * 3
    assert queue.take() == []
    assert queue.waiting_tokens == 0


async def test_small_requests_of_like_length_are_computed_together() -> None:
    queue = Queue(100, 10_000)
    short = [job(10), job(12), job(11)]
    for item in (short[0], job(70), *short[1:]):
        queue.add(item)
    assert members(queue.take()) == short
    assert len(queue.take()) == 1


async def test_a_full_queue_throttles_and_dropping_makes_room() -> None:
    queue = Queue(100, 200, most_jobs=2)
    big = job(*[60] * 10)
    queue.add(big)  # an empty queue takes any one request
    with pytest.raises(Throttled):
        queue.add(job(1))
    queue.drop(big)
    queue.drop(big)
    assert queue.waiting_tokens == 0
    queue.add(job(1))
    queue.add(job(1))
    with pytest.raises(Throttled):
        queue.add(job(1))
    assert len(queue.clear()) == 2
    assert queue.take() == []


def members(batch: Batch) -> list[Job]:
    return [item for item, _ in batch]
