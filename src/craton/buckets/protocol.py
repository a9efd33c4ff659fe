"""What a bucket's store can do. Every call is a coroutine; implementations that block do so in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from craton.buckets.digests import Digests
from craton.buckets.values import (
    ANYTHING,
    WHOLE,
    Condition,
    Headers,
    ObjectInfo,
    Opened,
    Page,
    Span,
    StoredObject,
)


class Draft(Protocol):
    """What a write says of itself. headers: to be kept, but for the checksums that only its end knows."""

    @property
    def headers(self) -> Headers: ...

    def finish(self, digests: Digests) -> tuple[str, Headers]:
        """The ETag and the headers to keep, once the bytes are through and before they are visible.

        Raises what ends the write with nothing changed."""
        ...


class ObjectStore(Protocol):
    """The objects of one bucket. Keys are checked (`names.check_key`).

    All raise TooLarge for keys that the store cannot hold, StorageFull when it does not take bytes, and Damaged,
    Forbidden or NotFound as the store answers.
    """

    async def stat(self, key: str) -> StoredObject:
        """Raises NotFound."""
        ...

    async def open(self, key: str, span: Span = WHOLE) -> Opened:
        """The object with these of its bytes, of one moment. Raises NotFound, RangeMissed."""
        ...

    async def put(
        self,
        key: str,
        blocks: AsyncIterator[bytes],
        draft: Draft,
        condition: Condition = ANYTHING,
        algorithms: tuple[str, ...] = (),
    ) -> StoredObject:
        """Replaces the object once all bytes are there, the draft agrees and the condition holds: durable when this
        returns, unchanged when it raises. Raises ConditionFailed, Conflict (the key's path is another object's)."""
        ...

    async def delete(self, key: str, condition: Condition = ANYTHING) -> None:
        """No error when there is none."""
        ...

    async def page(self, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        """At most `limit` objects and common prefixes together, by key, that come after `after`."""
        ...

    def objects(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """All of them, by key."""
        ...
