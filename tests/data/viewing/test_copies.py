"""Copies: named by whose they are and how they were read, within a bound; made once, whoever waits or leaves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from craton.core.errors import Damaged, ModelUnavailable, Throttled
from craton.data.viewing.copies import Memory, Once
from craton.data.viewing.shelf import Shelf, key_of


def test_the_oldest_copies_go(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "copies", 250)
    for number, name in enumerate("abc"):
        path = shelf.put_bytes(b"x" * 100, name, "parquet")
        os.utime(path, (number, number))
        if name == "b":
            assert shelf.find("a", "parquet") is not None  # used: now younger than b
    assert shelf.find("b", "parquet") is None
    assert [shelf.find(name, "parquet") is not None for name in "ac"] == [True, True]
    assert shelf.find("c", "statistics") is None


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "copies", 250)
    shelf.sweep()
    left = shelf.temporary()
    left.write_bytes(b"half")
    kept = shelf.put_bytes(b"whole", "a", "parquet")
    shelf.sweep()
    assert (left.exists(), kept.read_bytes()) == (False, b"whole")


def test_another_tenants_copy_has_another_name() -> None:
    assert key_of("alice", "digest", "csv") != key_of("bob", "digest", "csv")
    assert key_of("a", "bc") != key_of("ab", "c")


def test_memory_has_a_bound() -> None:
    memory = Memory[int](2)
    for number, key in enumerate("abc"):
        memory.put(key, number)
        memory.get("a")
    assert [memory.get(key) for key in "abc"] == [0, None, 2]


@pytest.mark.anyio
async def test_work_is_done_once_and_goes_on_without_its_callers() -> None:
    once, done, gate = Once[int](), [], asyncio.Event()

    async def work() -> int:
        await gate.wait()
        done.append(1)
        return len(done)

    with pytest.raises(Throttled, match="being made"):
        await once.do("key", "It is being made", work, patience=0.01)
    waiting = [asyncio.create_task(once.do("key", "It is being made", work)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.set()
    assert await asyncio.gather(*waiting[1:]) == [1] * 4
    assert await once.do("key", "", work) == 2  # what was done is kept by others, not here


@pytest.mark.anyio
async def test_what_cannot_succeed_is_not_tried_again() -> None:
    once, tried = Once[int](), []

    async def work() -> int:
        tried.append(1)
        raise Damaged("The file", "it is broken") if len(tried) > 1 else ModelUnavailable("the reader", "it is gone")

    for error in (ModelUnavailable, Damaged, Damaged):
        with pytest.raises(error):
            await once.do("key", "", work)
    assert len(tried) == 2
