"""A file as a table that is read in batches: what each format's reader gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from craton.data.viewing.values import Feature


class Tabular(Protocol):
    """`batches` may be asked for once. `cut`, after it: whether the file has more than was read."""

    schema: pa.Schema
    features: dict[str, Feature]

    def batches(self) -> Iterator[pa.RecordBatch]: ...

    @property
    def cut(self) -> bool: ...
