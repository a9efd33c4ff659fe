"""What every index is. An index is derived: SQL holds the truth, and any index can be dropped and built again.

Points are pieces of chunks (`core.knowledge`). One index serves one knowledge base; its points still carry the tenant,
and every search filters by it in both legs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from craton.core.knowledge import Access, Filter, Metadata


class IndexSpec(Struct, frozen=True):
    """name: [a-z0-9_-]{1,64}, unique for a tenant's knowledge base and epoch. dimensions: of the dense vectors, which
    are compared by cosine."""

    tenant: str
    name: str
    dimensions: int


class Point(Struct, frozen=True, array_like=True):
    """id: the piece's number, positive, below 2**63. vector: float32, little-endian, unit length. text: what the
    lexical leg reads. What the piece belongs to is not for an index to know: the rows say it."""

    id: int
    vector: bytes
    text: str
    metadata: Metadata
    access: Access


class Search(Struct, frozen=True):
    """A leg whose input is None is not searched. limit: hits of each leg. user: whose access lists count."""

    tenant: str
    limit: int
    vector: bytes | None = None
    text: str | None = None
    filter: Filter | None = None
    user: str = ""


class Hit(Struct, frozen=True, array_like=True):
    """score: cosine in the dense leg, BM25 in the lexical one."""

    id: int
    score: float


class Found(Struct, frozen=True):
    """Best first, ties by id."""

    dense: tuple[Hit, ...] = ()
    lexical: tuple[Hit, ...] = ()


class Index(Protocol):
    """One open index. All writes can be repeated: the same points again change nothing.

    Errors: `core.errors` (Damaged when the stored index cannot be read: rebuild it; ModelUnavailable never).
    """

    async def upsert(self, points: Sequence[Point]) -> None:
        """Durable against kill -9 when this returns, and seen by the next search."""
        ...

    async def delete(self, ids: Sequence[int]) -> None:
        """As durable as upsert. Ids that are not there are passed over."""
        ...

    async def search(self, search: Search) -> Found: ...

    async def count(self) -> int: ...

    async def optimise(self) -> None:
        """Makes searches fast after many writes. Searches and writes go on meanwhile."""
        ...

    async def close(self) -> None: ...


class Indexes(Protocol):
    """A place where indexes live: the embedded worker, a Qdrant server, a PostgreSQL."""

    async def open(self, spec: IndexSpec) -> Index:
        """Makes it when it is not there (`count` is 0 then). Opening the same spec twice gives the same index."""
        ...

    async def drop(self, spec: IndexSpec) -> None:
        """Removes it with everything in it. No error when it is not there."""
        ...

    async def close(self) -> None: ...
