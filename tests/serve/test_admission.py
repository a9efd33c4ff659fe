"""A bounded queue: full means refused, leaving means making room."""

from __future__ import annotations

import asyncio

import pytest

from craton.core.errors import Throttled
from craton.serve.admission import Admission

pytestmark = pytest.mark.anyio


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def hold(admission: Admission, release: asyncio.Event, order: list[int], number: int) -> None:
    async with admission.slot(in_seconds(60)):
        order.append(number)
        await release.wait()


async def test_no_more_run_than_there_are_places_and_a_full_queue_refuses() -> None:
    admission, release, order = Admission(2, waiting=1), asyncio.Event(), []
    tasks = [asyncio.create_task(hold(admission, release, order, number)) for number in range(3)]
    await asyncio.sleep(0.01)
    assert (admission.running, admission.waiting, order) == (2, 1, [0, 1])
    with pytest.raises(Throttled):
        async with admission.slot(in_seconds(60)):
            pass
    release.set()
    await asyncio.gather(*tasks)
    assert (admission.running, admission.waiting, order) == (0, 0, [0, 1, 2])


async def test_who_leaves_the_queue_makes_room_in_it() -> None:
    admission, release, order = Admission(1, waiting=1), asyncio.Event(), []
    first, second = (asyncio.create_task(hold(admission, release, order, number)) for number in range(2))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.wait([second])
    assert admission.waiting == 0
    third = asyncio.create_task(hold(admission, release, order, 3))
    await asyncio.sleep(0.01)
    release.set()
    await asyncio.gather(first, third)
    assert order == [0, 3]


async def test_waiting_ends_with_the_deadline() -> None:
    admission, release = Admission(1, waiting=5), asyncio.Event()
    holder = asyncio.create_task(hold(admission, release, [], 0))
    await asyncio.sleep(0.01)
    with pytest.raises(Throttled):
        async with admission.slot(in_seconds(0.03)):
            pass
    assert admission.waiting == 0
    release.set()
    await holder
