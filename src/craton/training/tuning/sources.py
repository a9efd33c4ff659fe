"""Where records come from: objects of a bucket, or a dataset in the hub. Pinned when a run is submitted, so that one
that is taken up again learns from the same.

"s3://train/support.jsonl#ETAG" is an object, "s3://train/texts/#DIGEST" all below a prefix; the digest is over their
keys and ETags. "datasets/acme/support@COMMIT" is a dataset.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice
from pathlib import Path

from msgspec import Struct

from craton.buckets.buckets import Buckets
from craton.buckets.names import parse_s3_uri
from craton.buckets.values import ObjectInfo
from craton.core.chat import Json
from craton.core.errors import Conflict, InvalidRequest, NotFound, Unsupported
from craton.training.data.hub import HubDatasets
from craton.training.data.refs import DatasetRef, read_ref
from craton.training.repositories import Checkouts
from craton.training.specification.names import SPACES
from craton.training.specification.tuning import Pretraining, Records, Tuned
from craton.training.tuning.records import Record, blocks_of, read_lines, read_rows, read_text

S3 = "s3://"
MOST_OBJECTS = 10_000
_TEXTS = (".txt", ".md")

Read = Callable[[], Iterator[Record]]


class Pinned(Struct, frozen=True):
    """References with their revisions in full; validation and base may be ""."""

    data: str
    validation: str
    base: str

    def arguments(self) -> Json:
        """Of the job."""
        return {"pinned": self.data, "pinned_validation": self.validation, "pinned_base": self.base}


def pinned_in(arguments: Json) -> Pinned:
    names = ("pinned", "pinned_validation", "pinned_base")
    return Pinned(*(str(arguments.get(name) or "") for name in names))


class Sources:
    """Coroutines."""

    def __init__(self, buckets: Buckets, datasets: HubDatasets, checkouts: Checkouts) -> None:
        self._buckets, self._datasets, self._checkouts = buckets, datasets, checkouts

    async def pin(self, tenant: str, spec: Tuned) -> Pinned:
        """Raises NotFound, Gated, Unsupported, InvalidRequest."""
        validation = spec.data.validation
        base = ""
        if not isinstance(spec, Pretraining):
            base = await asyncio.to_thread(self._checkouts.pinned, tenant, "model", spec.base)
        return Pinned(
            await self._pin(tenant, spec.data.ref, "data.ref"),
            await self._pin(tenant, validation, "data.validation") if validation else "",
            base,
        )

    async def pin_repositories(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        """Name -> the same with its revision in full. Raises NotFound, Gated, Forbidden."""
        return await asyncio.to_thread(self._pin_all, tenant, names)

    def _pin_all(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        def pinned(name: str) -> str:
            return self._checkouts.pinned(tenant, "space" if name.startswith(SPACES) else "model", name)

        return {name: pinned(name) for name in names}

    async def open(self, tenant: str, pinned: str, data: Records, part: str, folder: Path, field: str) -> Read:
        """Brings the records here, as they were when they were pinned. Raises Conflict when they changed since."""
        if not pinned.startswith(S3):
            ref = read_ref(pinned)
            assert isinstance(ref, DatasetRef)
            stored = await self._datasets.open(tenant, ref, data.config, part)
            return lambda: islice(read_rows(stored.train.files), data.limit)
        uri, _, tag = pinned.partition("#")
        bucket, _ = parse_s3_uri(uri)
        objects = await self._objects(tenant, uri, field)
        if tag and _tag(objects) != tag:
            raise Conflict("data", uri, "it is not what it was when the run was submitted; submit it again")
        files: list[tuple[str, Path]] = []
        for number, info in enumerate(objects):
            path = folder / f"{field}-{number}"
            with path.open("wb") as file:
                async for block in self._buckets.read(tenant, bucket, info.key):
                    await asyncio.to_thread(file.write, block)
            files.append((info.key, path))
        named = len(files) > 1
        return lambda: islice(chain.from_iterable(_read(key, path, named=named) for key, path in files), data.limit)

    async def _pin(self, tenant: str, name: str, field: str) -> str:
        if name.startswith(S3):
            return f"{name}#{_tag(await self._objects(tenant, name, field))}"
        ref = read_ref(name)
        if not isinstance(ref, DatasetRef):
            raise InvalidRequest(
                "language models are tuned on 's3://bucket/key' or 'datasets/acme/support@main'", field
            )
        if not self._datasets.reads:
            raise Unsupported("Reading datasets here", "Install craton[train].")
        return str(await self._datasets.pinned(tenant, ref))

    async def _objects(self, tenant: str, uri: str, field: str) -> list[ObjectInfo]:
        """The one of that key; else those below it, by key."""
        bucket, key = parse_s3_uri(uri)
        await self._buckets.get(tenant, bucket)
        if key and not key.endswith("/"):
            try:
                return [await self._buckets.stat(tenant, bucket, key)]
            except NotFound:
                raise NotFound("object", uri, "`craton buckets` and any S3 client put it there.") from None
        found: list[ObjectInfo] = []
        async for info in self._buckets.list(tenant, bucket, key):
            if info.size and len(found) < MOST_OBJECTS:
                found.append(info)
        if not found:
            raise InvalidRequest(f"there are no objects below {uri}", field)
        return found


def _tag(objects: list[ObjectInfo]) -> str:
    if len(objects) == 1:
        return objects[0].etag
    digest = hashlib.sha256()
    for info in objects:
        digest.update(f"{info.key}\0{info.etag}\0".encode())
    return digest.hexdigest()


def _read(key: str, path: Path, *, named: bool) -> Iterator[Record]:
    read = read_text if key.lower().endswith(_TEXTS) else read_lines
    return read(blocks_of(path), key.rpartition("/")[2] if named else "")
