"""What looking into a dataset may take."""

from __future__ import annotations

from msgspec import Struct


class ViewLimits(Struct, frozen=True):
    """Of one task of a child: processor seconds, wall-clock seconds, megabytes beyond what its process itself takes.

    line_bytes: one row of CSV or JSON. whole_bytes: a JSON document that is not lines. source_bytes: so much of a file
    is converted. copy_bytes: the Parquet file made of it. ratio: how many times its size a packed file may become.
    page_bytes: the rows of one answer. columns: of a file. idle_seconds: until a child without a task is ended.
    """

    cpu_seconds: float = 600.0
    wall_seconds: float = 900.0
    megabytes: int = 1024
    line_bytes: int = 8 << 20
    whole_bytes: int = 32 << 20
    source_bytes: int = 5 << 30
    copy_bytes: int = 16 << 30
    ratio: int = 300
    page_bytes: int = 1_000_000
    columns: int = 5_000
    tasks_per_child: int = 500
    idle_seconds: float = 60.0
