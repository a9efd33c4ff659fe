"""Bounds of what any index is asked, checked before it is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from craton.core.errors import InvalidRequest
from craton.index.matching import check_filter
from craton.index.protocol import IndexSpec, Point, Search

MAX_LIMIT = 10_000
MAX_DIMENSIONS = 16_000
MAX_ID = 2**63 - 1

_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def check_spec(spec: IndexSpec) -> None:
    if not _NAME.fullmatch(spec.name):
        raise InvalidRequest("an index's name has 1 to 64 of a-z, 0-9, '_' and '-'", "name")
    if not 1 <= spec.dimensions <= MAX_DIMENSIONS:
        raise InvalidRequest(f"vectors have 1 to {MAX_DIMENSIONS:,} dimensions", "dimensions")


def check_points(points: Sequence[Point], dimensions: int) -> None:
    for point in points:
        check_ids((point.id,))
        if len(point.vector) != 4 * dimensions:
            raise InvalidRequest(f"a vector of this index has {dimensions} dimensions", "vector")


def check_ids(ids: Sequence[int]) -> None:
    if any(not 1 <= one <= MAX_ID for one in ids):
        raise InvalidRequest("an id is positive and below 2**63", "id")


def check_search(search: Search, dimensions: int) -> None:
    if not 1 <= search.limit <= MAX_LIMIT:
        raise InvalidRequest(f"1 to {MAX_LIMIT:,} hits can be asked for", "limit")
    if search.vector is not None and len(search.vector) != 4 * dimensions:
        raise InvalidRequest(f"a vector of this index has {dimensions} dimensions", "vector")
    check_filter(search.filter)
