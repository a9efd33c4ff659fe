"""Files that kill, hang or fill their reader: the pool answers with a typed error and reads the next one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.viewing.frames import Convert, Describe, Head, Part, Table, Window
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.pool import TablePool
from craton.data.viewing.values import Described, Page
from tests.data.viewing.tables import Desk, cells

pytestmark = pytest.mark.anyio
pytest.importorskip("pyarrow")


@pytest.fixture
async def pool() -> AsyncIterator[TablePool]:
    pool = TablePool(1, ViewLimits(megabytes=400, cpu_seconds=20.0, wall_seconds=40.0))
    yield pool
    await pool.close()


async def test_a_reader_converts_and_reads(desk: Desk, pool: TablePool) -> None:
    source, target = desk.source("a.csv", b"a,b\n1,x\n2,y\n", "csv"), str(desk.folder / "copy")
    described = await pool.run(Convert(source, target), Described)
    table = Table((Part(target, "a.csv", 0, described.rows),), described.features)
    assert cells(await pool.run(Window(table, 1, 1), Page)) == [{"a": 2, "b": "y"}]


def parquet_files(desk: Desk) -> dict[str, bytes]:
    """A good file, and what may be wrong with one."""
    path = Path(desk.parquet({"n": list(range(1000)), "s": ["x" * 20] * 1000}).parts[0].path)
    good = path.read_bytes()
    length = int.from_bytes(good[-8:-4], "little")
    return {
        "empty": b"",
        "no footer": good[:-20],
        "no magic": good[:-4] + b"XXXX",
        "huge footer": good[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
        "footer of noise": good[: -8 - length] + bytes(range(256)) * (length // 256 + 1) + good[-8:],
        "footer of ones": good[: -8 - length] + b"\xff" * length + good[-8:],
        "pages of noise": good[:4] + b"\x15" * (len(good) - 12 - length) + good[-8 - length :],
        "no parquet": b"PAR1" * 100,
    }


async def look(pool: TablePool, path: Path) -> Page:
    described = await pool.run(Describe(str(path), path.name), Described)
    table = Table((Part(str(path), path.name, 0, described.rows),), described.features)
    return await pool.run(Window(table, 0, 10), Page)


async def test_hostile_parquet(desk: Desk, pool: TablePool) -> None:
    for content in parquet_files(desk).values():
        path = desk.folder / "hostile.parquet"
        path.write_bytes(content)
        with pytest.raises((Damaged, TooLarge)):
            await look(pool, path)
    good = Path(desk.parquet({"n": [1]}, "good.parquet").parts[0].path)
    assert (await pool.run(Describe(str(good), "good"), Described)).rows == 1


async def test_every_bit_may_be_wrong(desk: Desk, pool: TablePool) -> None:
    """A flipped byte anywhere in the footer gives rows or a typed error, never a dead pool."""
    path = Path(desk.parquet({"n": [1, 2, 3], "s": ["a", "b", None]}).parts[0].path)
    good = path.read_bytes()  # noqa: ASYNC240
    for position in range(len(good) - 1, len(good) - 800, -41):
        changed = bytearray(good)
        changed[position] ^= 0xFF
        path.write_bytes(changed)  # noqa: ASYNC240
        with suppress(Damaged, TooLarge):
            await look(pool, path)
    path.write_bytes(good)  # noqa: ASYNC240
    assert len((await look(pool, path)).rows) == 3


async def test_a_column_that_unpacks_to_more_than_memory(desk: Desk) -> None:
    """A few kilobytes that become one string of 160 megabytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = desk.folder / "bomb.parquet"
    pq.write_table(pa.table({"s": ["x" * (160 << 20)]}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1 << 20
    small = Path(desk.parquet({"n": [1]}, "good.parquet").parts[0].path)
    pool = TablePool(1, ViewLimits(megabytes=120))
    try:
        with pytest.raises((TooLarge, Damaged)):
            await look(pool, path)
        assert len((await look(pool, small)).rows) == 1
    finally:
        await pool.close()


async def test_time_has_a_bound(desk: Desk) -> None:
    limits = ViewLimits(cpu_seconds=0.3)
    source = desk.source("a.jsonl", b'{"a": 1, "b": "x"}\n' * 2_000_000, "json")
    pool = TablePool(1, limits)
    try:
        with pytest.raises(TooLarge, match="processor time"):
            await pool.run(Convert(source, str(desk.folder / "copy")), Described)
    finally:
        await pool.close()


async def test_a_copy_has_a_bound(desk: Desk) -> None:
    pool = TablePool(1, replace(ViewLimits(), copy_bytes=10_000))
    lines = b"".join(b'{"n": "%x"}\n' % (number * 7919**5 % 2**61) for number in range(50_000))
    target = desk.folder / "copy"
    try:
        with pytest.raises((TooLarge, Damaged)):
            await pool.run(Convert(desk.source("a.jsonl", lines, "json"), str(target)), Described)
        assert not target.exists()
    finally:
        await pool.close()


async def test_a_line_of_a_gigabyte(desk: Desk, pool: TablePool) -> None:
    """The file is sparse: a gigabyte of zeros without a line's end."""
    source = desk.source("a.csv", b"a,b\n", "csv")
    os.truncate(source.path, 1 << 30)
    for task, kind in ((Head(source, 5, {}), Page), (Convert(source, str(desk.folder / "copy")), Described)):
        with pytest.raises((TooLarge, Damaged)):
            await pool.run(task, kind)


async def test_an_idle_reader_is_ended(desk: Desk) -> None:
    path = Path(desk.parquet({"n": [1]}).parts[0].path)
    pool = TablePool(1, ViewLimits(idle_seconds=0.05))
    try:
        await look(pool, path)
        (child,) = pool._pool._children
        for _ in range(1000):
            if not (pool._pool._children or child.alive):
                break
            await asyncio.sleep(0.01)
        assert not pool._pool._children
        assert not child.alive
        assert len((await look(pool, path)).rows) == 1
    finally:
        await pool.close()


async def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as Python marks what is not there
    with pytest.raises(Unsupported, match=r"craton\[data\]"):
        await TablePool(1, ViewLimits()).run(Describe("a", "a"), Described)
