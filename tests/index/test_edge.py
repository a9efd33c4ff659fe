"""What the embedded index keeps through kills, damage, and optimising while it is used."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from craton.core.errors import Conflict, Damaged, StorageFull
from craton.core.knowledge import Access
from craton.index.edge import EdgeIndexes, EdgeSettings
from craton.index.edge.files import CURRENT, UNFLUSHED, copy_shard, read_current
from craton.index.edge.indexes import EdgeIndex
from craton.index.protocol import IndexSpec, Search
from tests.index.worlds import DIMENSIONS, TENANT, point, unit

pytestmark = pytest.mark.anyio

SPEC = IndexSpec(TENANT, "handbook", DIMENSIONS)
EVERYTHING = Search(TENANT, 5_000, vector=unit(99)[0].tobytes(), text="words")


def kill(indexes: EdgeIndexes) -> None:
    if indexes.pid is not None:
        os.kill(indexes.pid, signal.SIGKILL)


def place(folder: Path) -> Path:
    """Of the index on the disk."""
    return next(folder.glob(f"*/{SPEC.name}"))


async def held(index: EdgeIndex) -> set[int]:
    """The points, which both legs must find."""
    found = await index.search(EVERYTHING)
    ids = {hit.id for hit in found.dense}
    assert {hit.id for hit in found.lexical} == ids
    assert await index.count() == len(ids)
    return ids


def _acknowledged(script: str, enough: int) -> int:
    """The last number that the script prints, which is killed when it has printed `enough`."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = int(line)
            if last == enough:
                process.kill()
    return last


def _mapped(pid: int, specs: list[IndexSpec]) -> list[IndexSpec]:
    """Whose files the process has open."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return [spec for spec in specs if f"/{spec.name}/" in maps]


async def test_a_killed_process_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    """Kills at random moments, while writes and searches are under way: none of them fails."""
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    expected: set[int] = set()
    moments = random.Random(7)
    for round_ in range(5):
        new = list(range(1 + 100 * round_, 101 + 100 * round_))
        old = moments.sample(sorted(expected), 20) if expected else []
        writing = asyncio.gather(index.upsert([point(number) for number in new]), index.delete(old))
        await asyncio.sleep(moments.random() * 0.05)
        kill(indexes)
        await writing
        expected = (expected | set(new)) - set(old)
        assert await held(index) == expected
    await indexes.close()


async def test_a_server_that_is_killed_leaves_everything_that_it_was_told(tmp_path: Path) -> None:
    """A process that writes and is killed with its child; what it acknowledged is there."""
    script = f"""
import asyncio, sys
from pathlib import Path
from craton.index.edge import EdgeIndexes
from craton.index.protocol import IndexSpec
from tests.index.worlds import point
async def main():
    index = await EdgeIndexes(Path({str(tmp_path)!r})).open(IndexSpec({TENANT!r}, {SPEC.name!r}, {DIMENSIONS}))
    for number in range(1, 10**6):
        await index.upsert([point(number)])
        print(number, flush=True)
asyncio.run(main())
"""
    last = await asyncio.to_thread(_acknowledged, script, 200)
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)  # waits for the orphaned process to end
    found = await held(index)
    assert set(range(1, last + 1)) <= found <= set(range(1, last + 2))
    await indexes.close()


async def test_searches_and_writes_go_on_while_it_is_optimised_and_none_is_lost(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    await index.upsert([point(number) for number in range(1, 3001)])
    before = read_current(place(tmp_path))
    optimising = asyncio.create_task(index.optimise())
    number, answered = 3000, 0
    while not optimising.done():
        number += 1
        await index.upsert([point(number)])
        await index.delete([number - 3000])
        answered += len((await index.search(Search(TENANT, 3, vector=unit(number)[0].tobytes()))).dense) == 3
        await asyncio.sleep(0.01)
    await optimising
    after = read_current(place(tmp_path))
    assert before is not None
    assert after is not None
    assert after.generation != before.generation
    assert answered == number - 3000 > 1
    assert await held(index) == set(range(number - 3000 + 1, number + 1))
    assert [path.name for path in place(tmp_path).iterdir() if path.is_dir()] == [after.generation]
    await indexes.close()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
async def test_a_kill_while_it_is_optimised_leaves_the_old_or_the_new_one_whole(
    tmp_path: Path, fraction: float
) -> None:
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    await index.upsert([point(number) for number in range(1, 501)])
    started = time.monotonic()
    await index.optimise()
    taken = time.monotonic() - started
    await index.upsert([point(number) for number in range(501, 601)])
    optimising = asyncio.create_task(index.optimise())
    await asyncio.sleep(taken * fraction)
    kill(indexes)
    assert await held(index) == set(range(1, 601))
    await optimising  # it was begun again
    assert await held(index) == set(range(1, 601))
    await indexes.close()


async def test_it_is_optimised_by_itself_when_it_has_grown(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path, EdgeSettings(optimise_after=200, quiet_seconds=0.1))
    index = await indexes.open(SPEC)
    await index.upsert([point(number) for number in range(1, 301)])
    give_up = time.monotonic() + 60
    while (current := read_current(place(tmp_path))) is None or current.built < 300:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    assert await held(index) == set(range(1, 301))
    await indexes.close()


async def test_a_second_process_is_refused_the_folder(tmp_path: Path) -> None:
    first, second = EdgeIndexes(tmp_path), EdgeIndexes(tmp_path)
    await first.open(SPEC)
    with pytest.raises(Conflict):
        await second.open(SPEC)
    await first.close()
    await second.open(SPEC)
    await second.close()


async def test_more_indexes_than_may_be_open_are_opened_in_turn(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path, EdgeSettings(open_shards=3))
    specs = [IndexSpec(TENANT, f"many-{number}", DIMENSIONS) for number in range(6)]
    opened = [await indexes.open(spec) for spec in specs]
    for number, index in enumerate(opened):
        await index.upsert([point(number + 1)])
        assert await held(index) == {number + 1}
    assert indexes.pid is not None
    assert len(_mapped(indexes.pid, specs)) <= 3
    await indexes.close()


@pytest.mark.parametrize("what", ["segment", "current", "generation", "dimensions"])
async def test_a_damaged_index_says_so_and_can_be_dropped_and_made_anew(tmp_path: Path, what: str) -> None:
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    await index.upsert([point(number) for number in range(1, 100)])
    await indexes.close()
    folder = place(tmp_path)
    spec = SPEC
    if what == "segment":
        for path in folder.glob("g*/segments/*/segment.json"):
            path.write_bytes(b"\x00" * 64)
    elif what == "current":
        (folder / CURRENT).write_bytes(b"{")
    elif what == "generation":
        next(folder.glob("g*")).rename(folder / "elsewhere")
    else:
        spec = IndexSpec(TENANT, SPEC.name, DIMENSIONS + 1)
    indexes = EdgeIndexes(tmp_path)
    with pytest.raises(Damaged):
        await indexes.open(spec)
    await indexes.drop(SPEC)
    index = await indexes.open(SPEC)
    assert await held(index) == set()
    await index.upsert([point(1)])
    assert await held(index) == {1}
    await indexes.close()


async def test_writes_that_a_crash_of_the_machine_may_have_lost_make_the_index_damaged(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path, EdgeSettings(quiet_seconds=3600))
    index = await indexes.open(SPEC)
    await index.upsert([point(1)])
    assert (place(tmp_path) / UNFLUSHED).exists()
    kill(indexes)
    assert await held(index) == {1}  # a killed process alone loses nothing
    kill(indexes)
    (place(tmp_path) / UNFLUSHED).write_text("another run of the machine")
    with pytest.raises(Damaged):
        await index.count()
    await indexes.close()


async def test_what_was_written_reaches_the_disk_when_writes_pause(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path, EdgeSettings(quiet_seconds=0.1))
    index = await indexes.open(SPEC)
    await index.upsert([point(1)])
    give_up = time.monotonic() + 30
    while (place(tmp_path) / UNFLUSHED).exists():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    assert await held(index) == {1}
    await indexes.close()


async def test_a_disk_that_is_nearly_full_refuses_writes_and_still_answers(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    await index.upsert([point(1)])
    await indexes.close()
    indexes = EdgeIndexes(tmp_path, EdgeSettings(free_bytes=2**62))
    index = await indexes.open(SPEC)
    with pytest.raises(StorageFull):
        await index.upsert([point(2)])
    assert await held(index) == {1}
    await indexes.close()


def test_a_copy_has_the_same_bytes_and_takes_no_room_for_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "log").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"in the middle")
    (source / "full").write_bytes(os.urandom(3_000_001))
    (source / "empty").touch()
    copy_shard(source, tmp_path / "copy")
    for path in source.iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "copy" / "log").stat().st_blocks * 512 < 1 << 20


def test_the_server_imports_no_index() -> None:
    script = (
        "import sys, craton.index.edge, craton.index.qdrant, craton.index.postgres;"
        "print([name for name in ('qdrant_edge', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"


async def test_the_first_access_list_counts_from_the_search_after_it(tmp_path: Path) -> None:
    """Before that, searches leave the access conditions out."""
    indexes = EdgeIndexes(tmp_path)
    index = await indexes.open(SPEC)
    await index.upsert([point(1)])
    assert await held(index) == {1}
    await index.upsert([point(2, access=Access(allow=("bob",))), point(3, access=Access(deny=("eve",)))])
    await index.optimise()
    for _ in range(2):
        for user, expected in {"": {1, 3}, "bob": {1, 2, 3}, "eve": {1}}.items():
            search = Search(TENANT, 10, vector=unit(1)[0].tobytes(), text="words", user=user)
            found = await index.search(search)
            assert {hit.id for hit in found.dense} == {hit.id for hit in found.lexical} == expected
        kill(indexes)
    await indexes.close()
