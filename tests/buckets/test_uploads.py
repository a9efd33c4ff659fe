"""Uploads in parts: they end by themselves when nobody goes on with them; what is not theirs is swept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from craton.buckets.buckets import Buckets
from craton.buckets.uploads import EXPIRES_AFTER, Intent, Upload
from craton.buckets.values import Place
from craton.core.errors import NotFound
from craton.store.database import Database
from tests.buckets.conftest import blocks, no_credential
from tests.migrated import upgrade

pytestmark = pytest.mark.anyio
DAY = 86_400.0


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.now = 2e9  # later than any file of this test

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(database: Database, home: Path, clock: Clock) -> Buckets:
    upgrade(database)
    made = Buckets(database, home, no_credential, clock)
    made.create("red", "docs")
    made.create("blue", "docs")
    return made


async def begin(buckets: Buckets, tenant: str = "red", key: str = "k") -> Upload:
    upload = await buckets.uploads.create(tenant, "docs", key, Intent())
    await add_part(buckets, upload, 1, tenant)
    return upload


async def add_part(buckets: Buckets, upload: Upload, number: int, tenant: str = "red") -> None:
    await buckets.uploads.put(tenant, upload, number, blocks(b"part"), lambda digests: digests.checksums)


def parts_of(home: Path) -> set[str]:
    folder = home / "buckets" / ".uploads"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def test_an_upload_that_nobody_goes_on_with_ends(timed: Buckets, home: Path, clock: Clock) -> None:
    forgotten, foreign = await begin(timed), await begin(timed, "blue")
    clock.now += EXPIRES_AFTER - DAY
    alive = await begin(timed)
    timed.sweep()
    assert parts_of(home) == {forgotten.id, foreign.id, alive.id}
    clock.now += 2 * DAY
    timed.sweep()
    assert parts_of(home) == {alive.id}
    with pytest.raises(NotFound):
        await timed.uploads.get("red", "docs", "k", forgotten.id)
    assert [part.number for part in await timed.uploads.parts("red", alive)] == [1]


async def test_each_new_part_keeps_an_upload_alive(timed: Buckets, clock: Clock) -> None:
    upload = await begin(timed)
    for number in range(2, 5):
        clock.now += EXPIRES_AFTER - DAY
        await add_part(timed, upload, number)
        timed.sweep()
    assert [part.number for part in await timed.uploads.parts("red", upload)] == [1, 2, 3, 4]


async def test_a_new_upload_ends_its_buckets_expired_ones(timed: Buckets, home: Path, clock: Clock) -> None:
    forgotten, foreign = await begin(timed), await begin(timed, "blue")
    clock.now += EXPIRES_AFTER + DAY
    fresh = await begin(timed)
    assert parts_of(home) == {foreign.id, fresh.id}
    with pytest.raises(NotFound):
        await timed.uploads.end("red", forgotten)


async def test_parts_of_no_upload_and_old_temporary_files_are_swept(
    timed: Buckets, home: Path, tmp_path: Path, clock: Clock
) -> None:
    upload = await begin(timed)
    stray = home / "buckets" / ".uploads" / "0123"
    stray.mkdir()
    (stray / "half").write_bytes(b"half")
    leftovers = []
    for bucket in ("docs", "mine"):
        root = home / "buckets" / "red" / bucket if bucket == "docs" else tmp_path / "mine"
        (root / ".craton-tmp").mkdir(parents=True)
        leftovers.append(root / ".craton-tmp" / "half")
        leftovers[-1].write_bytes(b"half")
    timed.create("red", "mine", Place(str(tmp_path / "mine")))
    for path in (stray, leftovers[0]):
        os.utime(path, (clock.now, clock.now))
    timed.sweep()  # what was touched just now may still be written
    assert parts_of(home) == {upload.id, stray.name}
    assert [path.exists() for path in leftovers] == [True, False]
    clock.now += DAY
    timed.sweep()
    assert parts_of(home) == {upload.id}
    assert not leftovers[0].exists()
