"""Random metadata, filters, users and access lists, points that carry them, and which of them a search may find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from craton.core.knowledge import Access, AllOf, AnyOf, Compare, Filter, Metadata
from craton.index.matching import matches
from craton.index.protocol import Point

DIMENSIONS = 8
TENANT = "acme"

KEYS = ("a", "b.c", 'd["e"]', "ключ", "", "a\x00b")
TEXTS = (
    "",
    "a",
    "ab",
    "abc",
    "abcdef",
    "abcdefg",
    "Abc",
    "ü",
    "üb",
    "zebra",
    "日本",
    "\x00",
    "a\x00",
    "1",
    "true",
    "😀",
    "\uffff",
)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 1e-300, 1.7e308, -1.7e308, float("inf"), 2.0**53, 2.0**53 + 2)
USERS = ("bob", "eve", "*", "ann\x00", "u")

texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=14)
numbers = st.sampled_from(NUMBERS) | st.floats(allow_nan=False)
scalars = texts | numbers | st.booleans()
keys = st.sampled_from(KEYS)
metadata = st.dictionaries(keys, scalars | st.lists(texts, max_size=3).map(tuple), max_size=4)
accesses = st.builds(
    Access,
    allow=st.lists(st.sampled_from(USERS), max_size=2, unique=True).map(tuple),
    deny=st.lists(st.sampled_from(USERS), max_size=1).map(tuple),
)
users = st.sampled_from(("", *USERS, "stranger"))

_single = st.sampled_from(
    (
        *("equals", "notEquals", "greaterThan", "greaterThanOrEquals", "lessThan", "lessThanOrEquals"),
        *("startsWith", "stringContains", "listContains"),
    )
)
_compares = st.builds(Compare, operator=_single, key=keys, value=scalars) | st.builds(
    Compare, operator=st.sampled_from(("in", "notIn")), key=keys, value=st.lists(scalars, max_size=3).map(tuple)
)
filters: st.SearchStrategy[Filter] = st.recursive(
    _compares,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda some: AllOf(tuple(some)))
        | st.lists(inner, max_size=3).map(lambda some: AnyOf(tuple(some)))
    ),
    max_leaves=5,
)


def unit(seed: int, count: int = 1, dimensions: int = DIMENSIONS) -> np.ndarray:
    """Shape (count, dimensions), float32, unit length."""
    made = np.random.default_rng(seed).standard_normal((count, dimensions)).astype("<f4")
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def point(
    number: int,
    text: str = "words",
    metadata: Metadata | None = None,
    access: Access | None = None,
    vector: bytes = b"",
) -> Point:
    return Point(
        id=number,
        vector=vector or unit(number)[0].tobytes(),
        text=text,
        metadata=metadata or {},
        access=access or Access(),
    )


def admitted(points: Sequence[Point], wanted: Filter | None, user: str) -> set[int]:
    """The law: which of the points a search may find."""
    return {one.id for one in points if one.access.admits(user) and matches(wanted, one.metadata)}
