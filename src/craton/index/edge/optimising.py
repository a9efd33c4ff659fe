"""Optimising without stopping: a copy of the shard is optimised in another process, catches up, and takes its place.

Killed at any moment, `current` names either the old shard or the new one, and both are whole.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress

import qdrant_edge as edge

from craton.children.process import Process, how_it_ended
from craton.core.errors import Damaged, StorageFull
from craton.index.edge.files import copy_shard
from craton.index.edge.shard import Shard, guarded

BUILDER = "craton.index.edge.builder"
SLICE = 64  # points that are brought up to date between two searches
FEW = 512  # late points for which writes may wait


async def optimise(shard: Shard, writing: asyncio.Lock) -> None:
    """writing: held while the shard is written to; here only while it is copied, and for the last few points."""
    number = int(shard.current.generation.removeprefix("g")) + 1
    target = shard.folder / f"g{number}"
    copy = None
    try:
        async with writing:
            shard.flush()
            shard.touched = set()
            await asyncio.to_thread(_copy, shard, target.name)
        await _build(str(target))
        copy = guarded(lambda: edge.EdgeShard.load(str(target)))
        late: set[int] = set()
        while len(shard.touched) > FEW:
            touched, shard.touched = shard.touched, set()
            late |= touched
            await _catch_up(shard, copy, touched)
        async with writing:
            late |= shard.touched
            await _catch_up(shard, copy, shard.touched)
            shard.flip(target.name, copy, len(late))
            copy = None
    except OSError:
        raise StorageFull("There was no room to optimise the index.") from None
    finally:
        shard.touched = None
        if copy is not None:
            with suppress(Damaged):
                guarded(copy.close)
        if shard.current.generation != target.name:
            await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)


def _copy(shard: Shard, name: str) -> None:
    target = shard.folder / name
    shutil.rmtree(target, ignore_errors=True)
    copy_shard(shard.path, target)


async def _build(path: str) -> None:
    process = await Process.spawn(BUILDER, [path])
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    finally:
        process.sock.close()
    if code:
        raise Damaged("the index", f"optimising failed: {how_it_ended(code)}")


async def _catch_up(shard: Shard, copy: object, ids: set[int]) -> None:
    ordered = sorted(ids)
    for start in range(0, len(ordered), SLICE):
        shard.bring_up_to_date(copy, ordered[start : start + SLICE])
        await asyncio.sleep(0)
