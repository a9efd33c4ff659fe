"""What is looked at before a customization is queued: as much as costs little, so that most mistakes are told at once.

The training reads everything again, and says of all records which ones are bad.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import InvalidRequest, NotFound, TooLarge
from craton.customizing.customizations import NewCustomization
from craton.customizing.logs import Logs, gather
from craton.training.tuning.conversations import read_conversation, read_plain, read_prompt
from craton.training.tuning.records import good, read_lines

LOOKED_AT = 1 << 20  # bytes of each file of records
MAX_GRADER = 256 << 10  # bytes of a grader's module

Train = Callable[[str, Json], Awaitable[Json]]
"""(tenant, specification) -> the arguments of a training. Raises what a submission does."""

_READERS: dict[str, Callable[[Json], object]] = {
    "fine-tuning": read_conversation,
    "continued-pretraining": read_plain,
    "reward-tuning": read_prompt,
}


class Preparing:
    """See `customizations.Prepare`. train: what makes the arguments of a training, for every door the same."""

    def __init__(self, buckets: Buckets, train: Train) -> None:
        self._buckets, self._train = buckets, train

    async def __call__(self, tenant: str, new: NewCustomization, id: str) -> Json:
        """Raises NotFound for buckets, objects and models; InvalidRequest with the numbers of bad lines."""
        await self._buckets.get(tenant, new.bucket)
        document, grader = new.document, new.document.get("grader") or {}
        if grader.get("python", "").startswith("s3://"):
            document = {**document, "grader": {**grader, "python": await self._module(tenant, grader["python"])}}
        data = document["data"]
        if new.logs is not None:
            data = {**data, "ref": await self._gather(tenant, new, new.logs, id)}
            document = {**document, "data": data}
        for place in ("ref", "validation"):
            if data.get(place):
                await self._look_at(tenant, data[place], str(document["method"]), f"data.{place}")
        return await self._train(tenant, document)

    async def _gather(self, tenant: str, new: NewCustomization, logs: Logs, id: str) -> str:
        """The object that holds what the logs say, as records."""
        found = await gather(self._buckets, tenant, logs)
        key = f"{new.prefix}model-customization-job-{id}/training_data/invocations.jsonl"

        async def blocks() -> AsyncIterator[bytes]:
            yield found

        await self._buckets.write(tenant, new.bucket, key, blocks(), "application/jsonl")
        return f"s3://{new.bucket}/{key}"

    async def _look_at(self, tenant: str, uri: str, method: str, field: str) -> None:
        bucket, key = read_uri(uri, field)
        head, whole = await self._head(tenant, bucket, key, LOOKED_AT)
        if not whole:
            head = head[: head.rfind(b"\n") + 1]
        if not key.endswith(".txt") and (head or whole):
            read = _READERS.get(method, _anything)
            await asyncio.to_thread(_exhaust, good(read_lines([head]), read, field))

    async def _module(self, tenant: str, uri: str) -> str:
        bucket, key = read_uri(uri, "grader.python")
        text, whole = await self._head(tenant, bucket, key, MAX_GRADER)
        if not whole:
            raise TooLarge("The grader's module", MAX_GRADER)
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("is not a Python module in UTF-8", "grader.python") from None

    async def _head(self, tenant: str, bucket: str, key: str, size: int) -> tuple[bytes, bool]:
        """The object's first bytes, and whether these are all."""
        try:
            info = await self._buckets.stat(tenant, bucket, key)
        except NotFound:
            await self._buckets.get(tenant, bucket)  # says so when it is the bucket that is not there
            raise NotFound(
                "object", f"s3://{bucket}/{key}", "Upload the records first; a folder is not read."
            ) from None
        held = bytearray()
        async for block in self._buckets.read(tenant, bucket, key):
            held += block
            if len(held) >= size:
                break
        return bytes(held[:size]), info.size <= size


def read_uri(uri: str, field: str) -> tuple[str, str]:
    """Bucket and key. Raises InvalidRequest."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise InvalidRequest(f"{uri[:200]!r} names no object: s3://bucket/records.jsonl", field)
    return bucket, key


def _anything(record: Json) -> Json:
    return record


def _exhaust(records: Iterator[Any]) -> None:
    for _ in records:
        pass
