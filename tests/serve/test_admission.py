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


async def kinds(admission: Admission, wanted: str, order: list[str], release: dict[str, asyncio.Event]) -> None:
    async with admission.slot(in_seconds(60), wanted[0]):
        order.append(wanted)
        await release[wanted].wait()


async def test_kinds_take_turns_and_who_came_later_does_not_pass() -> None:
    admission, order = Admission(2, waiting=9), list[str]()
    names = ["a1", "b1", "a2", "b2", "c1", "b3"]
    release = {name: asyncio.Event() for name in names}
    tasks = {name: asyncio.create_task(kinds(admission, name, order, release)) for name in names}
    await asyncio.sleep(0.01)
    # There is a place for a2, but b1 waits: a stream of a's would keep it waiting for ever.
    assert (order, admission.of("a"), admission.of("b"), admission.of("c")) == (["a1"], (1, 1), (0, 3), (0, 1))
    for name, after in (("a1", "a1 b1 b2"), ("b1", "a1 b1 b2"), ("b2", "a1 b1 b2 a2"), ("a2", "a1 b1 b2 a2 c1")):
        release[name].set()
        await asyncio.sleep(0.01)
        assert order == after.split()
    tasks["b3"].cancel()
    release["c1"].set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_place_given_to_one_who_leaves_at_that_moment_goes_on() -> None:
    admission, release, order = Admission(1, waiting=5), asyncio.Event(), []
    first, second, third = (asyncio.create_task(hold(admission, release, order, number)) for number in range(3))
    await asyncio.sleep(0.01)
    release.set()
    await first
    second.cancel()
    await asyncio.wait([second])
    await third
    assert (admission.running, admission.waiting, order[-1]) == (0, 0, 2)
