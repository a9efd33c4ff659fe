"""Buckets in folders: whole or absent, fresh when edited elsewhere, never outside."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.buckets.buckets import Buckets, PlainDraft
from craton.buckets.listing import grouped
from craton.buckets.paths import TEMPORARY, path_of
from craton.buckets.values import Condition, ConditionFailed, Headers, Place, RangeMissed, Span
from craton.buckets.walking import walk
from craton.core.errors import Conflict, InvalidRequest, NotFound, SourceFailed

pytestmark = pytest.mark.anyio


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(buckets: Buckets, key: str, bucket: str = "docs", tenant: str = "red") -> bytes:
    return b"".join([data async for data in buckets.read(tenant, bucket, key)])


def files_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def test_an_object_is_read_as_it_was_written(buckets: Buckets) -> None:
    store = await buckets.store("red", "docs")
    headers = Headers(content_type="text/plain", metadata={"who": "me"})
    stored = await store.put("a/b.txt", blocks(b"hello ", b"world"), PlainDraft(headers), algorithms=())
    assert stored.info.etag == hashlib.md5(b"hello world").hexdigest()
    assert await store.stat("a/b.txt") == stored
    assert (await store.stat("a/b.txt")).headers == headers
    assert await content(buckets, "a/b.txt") == b"hello world"
    opened = await store.open("a/b.txt", Span(None, 5))
    assert b"".join([data async for data in opened.body]) == b"world"
    with pytest.raises(RangeMissed):
        await store.open("a/b.txt", Span(11, None))


async def test_a_writer_that_fails_changes_nothing_and_leaves_nothing(buckets: Buckets, home: Path) -> None:
    await buckets.write("red", "docs", "a", blocks(b"old"))

    async def failing() -> AsyncIterator[bytes]:
        yield b"new"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await buckets.write("red", "docs", "a", failing())
    assert await content(buckets, "a") == b"old"
    assert files_in(home / "buckets") == {"red/docs/a"}


async def test_a_cancelled_writer_leaves_nothing(buckets: Buckets, home: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)
            started.set()

    task = asyncio.create_task(buckets.write("red", "docs", "a", endless()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(home / "buckets") == set()
    with pytest.raises(NotFound):
        await buckets.stat("red", "docs", "a")


async def test_what_is_edited_elsewhere_is_served_fresh(buckets: Buckets, home: Path) -> None:
    store = await buckets.store("red", "docs")
    first = await store.put("a", blocks(b"one"), PlainDraft(Headers(content_type="x/y")))
    file = home / "buckets" / "red" / "docs" / "a"
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1_700_000_000_000_000_001))
    edited = await store.stat("a")
    assert edited.info.etag != first.info.etag
    assert edited.headers == Headers()
    assert await content(buckets, "a") == b"two"
    assert [info.etag async for info in buckets.list("red", "docs")] == [edited.info.etag]


async def test_of_many_writers_of_one_key_one_stays_whole(buckets: Buckets) -> None:
    store = await buckets.store("red", "docs")
    bodies = [bytes([letter]) * 50_000 for letter in b"abcdefgh"]
    await asyncio.gather(*(store.put("k", blocks(body), PlainDraft(Headers(metadata={"n": body[:1].decode()})))
                           for body in bodies))  # fmt: skip
    found, stored = await content(buckets, "k"), await store.stat("k")
    assert found in bodies
    assert stored.info.etag == hashlib.md5(found).hexdigest()
    assert stored.headers.metadata == {"n": found[:1].decode()}


async def test_only_one_of_many_makes_what_must_not_be_there(buckets: Buckets) -> None:
    store = await buckets.store("red", "docs")
    condition = Condition(absent=True)
    tries = [store.put("lock", blocks(bytes([n])), PlainDraft(), condition) for n in range(6)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, ConditionFailed) for result in done) == 5
    with pytest.raises(ConditionFailed):
        await store.put("lock", blocks(b""), PlainDraft(), Condition(etags=("other",)))
    etag = (await store.stat("lock")).info.etag
    await store.put("lock", blocks(b"mine"), PlainDraft(), Condition(etags=(etag,)))


async def test_a_key_cannot_be_a_file_and_a_folder(buckets: Buckets) -> None:
    await buckets.write("red", "docs", "a", blocks(b"x"))
    with pytest.raises(Conflict):
        await buckets.write("red", "docs", "a/b", blocks(b"y"))
    await buckets.write("red", "docs", "c/d", blocks(b"x"))
    with pytest.raises(Conflict):
        await buckets.write("red", "docs", "c", blocks(b"y"))
    for absent in ("a/b", "c"):
        with pytest.raises(NotFound):
            await buckets.stat("red", "docs", absent)


async def test_empty_folders_go_with_their_last_object(buckets: Buckets, home: Path) -> None:
    store = await buckets.store("red", "docs")
    await buckets.write("red", "docs", "a/b/c", blocks(b"x"))
    await store.delete("a/b/c")
    await store.delete("a/b/c")
    await buckets.write("red", "docs", "a", blocks(b"y"))
    assert files_in(home / "buckets" / "red" / "docs") == {"a"}


@pytest.mark.parametrize("key", ["link/secret", "link", "to-file", "loop/a", "pipe", "sub/up/secret"])
async def test_links_and_devices_of_a_registered_folder_lead_nowhere(
    key: str, buckets: Buckets, tmp_path: Path
) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "mine"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "sub").mkdir(parents=True)
    (folder / "plain").write_text("plain")
    (folder / "link").symlink_to(outside)
    (folder / "to-file").symlink_to(outside / "secret")
    (folder / "loop").symlink_to(folder)
    (folder / "sub" / "up").symlink_to("../../outside")
    os.mkfifo(folder / "pipe")
    buckets.create("red", "mine", Place(str(folder)))
    assert [info.key async for info in buckets.list("red", "mine")] == ["plain"]
    with pytest.raises(NotFound):
        await content(buckets, key, "mine")
    before = files_in(outside)
    with pytest.raises((NotFound, Conflict)):
        await buckets.write("red", "mine", f"{key}/x/y" if key != "to-file" else key, blocks(b"x"))
    await (await buckets.store("red", "mine")).delete(key)
    assert files_in(outside) == before
    assert (outside / "secret").read_text() == "secret"
    assert not (outside / "x").exists()


def test_cratons_home_cannot_be_registered(buckets: Buckets, home: Path, tmp_path: Path) -> None:
    (tmp_path / "into").symlink_to(home)
    for folder in (home, home.parent, home / "buckets", tmp_path / "into", tmp_path / "absent"):
        (home / "buckets").mkdir(exist_ok=True)
        with pytest.raises(InvalidRequest):
            buckets.create("red", "mine", Place(str(folder)))


async def test_a_registered_folder_that_is_gone_is_told_and_never_made_anew(buckets: Buckets, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a").write_text("a")
    buckets.create("red", "mine", Place(str(folder)))
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceFailed):
        await buckets.write("red", "mine", "b", blocks(b"b"))
    with pytest.raises(SourceFailed):
        await content(buckets, "a", "mine")
    with pytest.raises(SourceFailed):  # an empty listing would have an ingestion forget everything
        [info async for info in buckets.list("red", "mine")]
    assert not folder.exists()
    (tmp_path / "elsewhere").rename(folder)
    assert await content(buckets, "a", "mine") == b"a"


async def test_tenants_do_not_meet(buckets: Buckets) -> None:
    await buckets.write("red", "docs", "a", blocks(b"red"))
    with pytest.raises(NotFound) as foreign:
        await buckets.stat("blue", "docs", "a")
    with pytest.raises(NotFound) as absent:
        await buckets.stat("blue", "nope", "a")
    assert str(foreign.value).replace("docs", "nope") == str(absent.value)
    buckets.create("blue", "docs")
    await buckets.write("blue", "docs", "a", blocks(b"blue"))
    assert await content(buckets, "a") == b"red"
    assert await content(buckets, "a", tenant="blue") == b"blue"
    assert [bucket.tenant for bucket in buckets.registry.list("blue")] == ["blue"]


async def test_only_an_empty_bucket_is_deleted(buckets: Buckets, home: Path, tmp_path: Path) -> None:
    await buckets.write("red", "docs", "a/b", blocks(b"x"))
    with pytest.raises(Conflict):
        buckets.delete("red", "docs")
    assert await content(buckets, "a/b") == b"x"
    await (await buckets.store("red", "docs")).delete("a/b")
    (home / "buckets" / "red" / "docs" / "leftover").mkdir()
    buckets.delete("red", "docs")
    assert not (home / "buckets" / "red" / "docs").exists()
    with pytest.raises(NotFound):
        buckets.delete("red", "docs")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "kept").write_text("kept")
    buckets.create("red", "mine", Place(str(mine)))
    buckets.delete("red", "mine")
    assert (mine / "kept").read_text() == "kept"


NAMES = st.lists(st.sampled_from(["a", "b", "a.b", "a-", "aé", "", "..", "z"]), min_size=1, max_size=4).map("/".join)


@settings(max_examples=40, deadline=None)
@given(st.sets(NAMES.filter(bool), max_size=12), st.sampled_from(["", "a", "a/", "a/b", "z"]), NAMES, st.booleans())
def test_a_walk_is_the_sorted_keys(keys: set[str], prefix: str, after: str, folders: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_walk(Path(folder), keys, prefix, after, folders)


def check_walk(root: Path, keys: set[str], prefix: str, after: str, folders: bool) -> None:
    held = set()
    for key in keys:
        try:
            path = root / path_of(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            held.add(key)
        except OSError:
            continue  # a file and a folder of one name
    (root / TEMPORARY).mkdir()
    (root / TEMPORARY / "half").touch()
    (root / "empty" / "folder").mkdir(parents=True)
    found = [item.key for item in walk(root, prefix, after, folders=folders)]
    if not folders:
        assert found == sorted(key for key in held if key.startswith(prefix) and key > after)
        return
    everything = grouped(walk(root, prefix), prefix, "/", "")
    assert found == [item.key for item in everything if item.key > after]


async def test_pages_together_are_the_whole_listing(buckets: Buckets) -> None:
    store = await buckets.store("red", "docs")
    keys = sorted([f"d{n}/x" for n in range(5)] + [f"f{n}" for n in range(5)] + ["d1/y", "d1-z", "d1"[:1] + "1.txt"])
    for key in keys:
        await buckets.write("red", "docs", key, blocks(key.encode()))
    for delimiter in ("", "/", "1"):
        seen, after = [], ""
        while True:
            page = await store.page("", delimiter, after, 2)
            assert len(page.objects) + len(page.prefixes) <= 2
            seen += [info.key for info in page.objects] + list(page.prefixes)
            after = page.last
            if not after:
                break
        whole = await store.page("", delimiter, "", 1000)
        assert sorted(seen) == sorted([info.key for info in whole.objects] + list(whole.prefixes))
        assert len(seen) == len(set(seen))
