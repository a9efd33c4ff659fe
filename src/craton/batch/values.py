"""The values of batches: what is asked, how far it is, what came of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from craton.core.chat import Json

Kind = Literal["records", "single"]
"""Many records of a bucket, or one invocation whose body came with the request."""

Status = Literal[
    "submitted", "validating", "running", "stopping", "stopped", "partial", "completed", "failed", "expired"
]
"""partial: the time was over before all records were answered. expired: it was over before the first."""

ENDED: frozenset[Status] = frozenset({"stopped", "partial", "completed", "failed", "expired"})


class Objects(Struct, frozen=True):
    """Where in the buckets. key: an object's, or the beginning of many; of outputs: what theirs begin with."""

    bucket: str
    key: str = ""


class Order(Struct, frozen=True):
    """What is asked. mode: in which words the records are written, a word of whoever reads them. seconds: until what is
    not answered stays so. key_id: whose usage it is. extra: what a dialect keeps to give it back.
    """

    name: str
    model: str
    mode: str
    output: Objects
    input: Objects | None = None
    seconds: float = 86_400.0
    key_id: str = ""
    extra: Json = {}


class Counts(Struct, frozen=True):
    """Of records, and of the tokens that their models read and wrote. total is None until they are counted."""

    total: int | None = None
    succeeded: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def done(self) -> int:
        return self.succeeded + self.failed


class Batch(Struct, frozen=True):
    """One order and what became of it. Times are seconds since the epoch. message: why it failed, or ""."""

    id: str
    tenant: str
    kind: Kind
    job: str
    order: Order
    status: Status
    created: float
    updated: float
    expires: float
    ended: float | None = None
    counts: Counts = Counts()
    message: str = ""
    token: str = ""

    @property
    def outputs(self) -> Objects:
        """A folder of its own, whose name does not end in a slash."""
        place = self.order.output
        return Objects(place.bucket, f"{place.key.rstrip('/')}/{self.id}".lstrip("/"))


class Listing(Struct, frozen=True):
    """Which ones, and which page of them. statuses: empty means any. since and until: of their making, seconds since
    the epoch. name: a part of it."""

    size: int = 100
    cursor: str = ""
    statuses: tuple[Status, ...] = ()
    name: str = ""
    since: float | None = None
    until: float | None = None
    ascending: bool = False
