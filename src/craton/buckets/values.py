"""The values of buckets: where one lives, what an object is, what is asked of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.errors import CratonError


class Remote(Struct, frozen=True):
    """A bucket of an S3-compatible store. endpoint: "" for Amazon's own. credential: the name, in the vault, of
    ACCESS_KEY:SECRET_KEY; "" asks without a signature."""

    bucket: str
    endpoint: str = ""
    region: str = "us-east-1"
    credential: str = ""


class Place(Struct, frozen=True):
    """Where a bucket lives: in an operator's folder, in a remote store, or (neither) under Craton's home."""

    folder: str = ""
    remote: Remote | None = None
    region: str = ""  # what its maker said; kept to be told, nothing depends on it


class Bucket(Struct, frozen=True):
    """created: seconds since the epoch."""

    tenant: str
    name: str
    created: float
    place: Place = Place()

    @property
    def is_own(self) -> bool:
        """Whether it lies under Craton's home: the others are the operator's to register and to let go."""
        return not self.place.folder and self.place.remote is None


class Headers(Struct, frozen=True, omit_defaults=True):
    """What is kept beside an object's bytes. checksums: algorithm ("crc32", "sha256" ...) -> base64, as S3 writes
    them; composite: they are checksums of the parts' checksums."""

    content_type: str = ""
    cache_control: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    content_language: str = ""
    expires: str = ""
    metadata: dict[str, str] = {}
    checksums: dict[str, str] = {}
    composite: bool = False


class ObjectInfo(Struct, frozen=True):
    """An object as it is listed. etag: without quotes. modified: seconds since the epoch."""

    key: str
    size: int
    etag: str
    modified: float


class StoredObject(Struct, frozen=True):
    """An object as it is read."""

    info: ObjectInfo
    headers: Headers = Headers()


class Condition(Struct, frozen=True):
    """What must hold of the object that a write replaces. absent: there is none. etags: it has one of these, "*" for
    any."""

    absent: bool = False
    etags: tuple[str, ...] = ()

    def check(self, key: str, etag: str | None) -> None:
        """etag: the present object's, None when there is none. Raises ConditionFailed."""
        if self.absent and etag is not None:
            raise ConditionFailed(key, "there is such an object already")
        if self.etags and (etag is None or ("*" not in self.etags and etag not in self.etags)):
            raise ConditionFailed(key, "the object is not the one that was named")


ANYTHING = Condition()


class Page(Struct, frozen=True):
    """A piece of a listing, in the order of keys. prefixes: common ones up to the delimiter.

    last: the key or prefix to go on after, "" at the end.
    """

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...]
    last: str = ""


class Opened(Struct, frozen=True):
    """An object with its bytes, of one moment. body: to be iterated or closed."""

    stored: StoredObject
    start: int  # of the bytes that come; end is exclusive
    end: int
    body: AsyncIterator[bytes]


class ConditionFailed(CratonError):
    """What a conditional request asked for does not hold; nothing was changed."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason

    def __str__(self) -> str:
        return f"The condition on {self.key!r} does not hold: {self.reason}."


class RangeMissed(CratonError, ValueError):
    """The range asked for holds no byte of the object. size: the object's."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"The range holds no byte of the object, which has {self.size:,}."


class Span(Struct, frozen=True):
    """Bytes that were asked for. start None: the last `end` bytes; end None: to the object's end (else exclusive)."""

    start: int | None = 0
    end: int | None = None

    def within(self, size: int) -> tuple[int, int]:
        """Start and exclusive end in an object of this size. Raises RangeMissed."""
        if self.start is None:
            start, end = max(0, size - (self.end or 0)), size
        else:
            start, end = self.start, size if self.end is None else min(self.end, size)
        if start >= end and not (self == WHOLE and size == 0):
            raise RangeMissed(size)
        return start, end


WHOLE = Span()


def as_json(value: Any) -> str:
    """For a row."""
    return msgspec.json.encode(value).decode()
