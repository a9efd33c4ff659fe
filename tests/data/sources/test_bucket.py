"""Buckets: metadata files in a stream that is sorted, prefixes, and memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from craton.buckets.buckets import Buckets
from craton.core.errors import NotFound
from craton.core.knowledge import Access, SourceSpec
from craton.data.documents import Source
from craton.data.sources import SourceFailed
from craton.data.sources.bucket import BucketSource, outermost
from craton.data.sources.options import BucketOptions
from tests.data.sources.conftest import TENANT, listed

pytestmark = pytest.mark.anyio

Open = Callable[[SourceSpec], Awaitable[Source]]


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Object(Struct, frozen=True):
    key: str
    size: int = 1
    etag: str = "e"


class Shelf:
    """Objects that are made as they are listed."""

    def __init__(self, keys: Callable[[], AsyncIterator[str]]) -> None:
        self._keys = keys

    async def list(self, tenant: str, bucket: str, prefix: str) -> AsyncIterator[Object]:
        async for key in self._keys():
            if key.startswith(prefix):
                yield Object(key)

    async def read(self, tenant: str, bucket: str, key: str) -> AsyncIterator[bytes]:
        raise NotFound("object", key)
        yield b""


def shelf(keys: list[str]) -> Shelf:
    async def given_keys() -> AsyncIterator[str]:
        for key in keys:
            yield key

    return Shelf(given_keys)


@given(
    st.sets(st.sampled_from(["a", "a-b", "a.", "a.metadata", "a.metadata.", "a.n", "a/b", "b", "a!", "a.metadata0"]))
)
@settings(max_examples=200, deadline=None)
def test_every_metadata_file_finds_its_object(names: set[str]) -> None:
    import asyncio

    keys = sorted(key for name in names for key in (name, f"{name}.metadata.json"))
    source = BucketSource(shelf(keys), TENANT, BucketOptions("papers"))
    found = asyncio.run(listed(source))
    assert set(found) == names
    assert all(item.metadata_etag for item in found.values())


async def test_keys_out_of_order_are_refused() -> None:
    with pytest.raises(SourceFailed):
        await listed(BucketSource(shelf(["b", "a"]), TENANT, BucketOptions("papers")))


async def test_however_many_objects_are_listed_in_little_memory() -> None:
    async def many() -> AsyncIterator[str]:
        yield "k"
        for number in range(100_000):  # "k" waits for its metadata file all the way
            yield f"k-{number:07}"

    source = BucketSource(Shelf(many), TENANT, BucketOptions("papers"))
    tracemalloc.start()
    count = 0
    async for _ in source.list(None):
        count += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_001
    assert peak < 1_000_000


def test_prefixes_within_each_other_are_one() -> None:
    assert outermost(["b/", "a/", "a/b/", "a/"]) == ["a/", "b/"]
    assert outermost([]) == outermost(["", "x"]) == [""]


async def test_a_real_bucket_with_metadata(buckets: Buckets, opened: Open, tmp_path: Path) -> None:
    buckets.create(TENANT, "papers")
    acl = [{"name": "ann", "type": "USER", "access": "ALLOW"}]
    sidecar = json.dumps({"metadataAttributes": {"year": 2024}, "accessControlList": acl}).encode()
    for key, data in {"a.txt": b"A", "a.txt-b": b"B", "a.txt.metadata.json": sidecar, "c/d.txt": b"D"}.items():
        await buckets.write(TENANT, "papers", key, one(data))
    source = await opened(SourceSpec("bucket", {"bucket": "papers", "prefixes": ["a", "c/"]}))
    found = await listed(source)
    assert sorted(found) == ["a.txt", "a.txt-b", "c/d.txt"]
    assert [key for key, item in found.items() if item.metadata_etag] == ["a.txt"]
    fetched = await source.fetch(found["a.txt"], tmp_path, 10)
    assert (fetched.path.read_bytes(), fetched.location.uri) == (b"A", "s3://papers/a.txt")
    assert (fetched.metadata, fetched.access) == ({"year": 2024.0}, Access(("ann",)))


async def test_another_tenants_bucket_is_not_found(buckets: Buckets, opened: Open) -> None:
    buckets.create("other", "papers")
    with pytest.raises(NotFound):
        await listed(await opened(SourceSpec("bucket", {"bucket": "papers"})))
