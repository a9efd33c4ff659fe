"""What is seen of a dataset. Plain values, the same for every dialect."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Format = Literal["csv", "json", "parquet", "arrow", "text"]
Packing = Literal["", "gzip", "bz2", "zstd"]
Feature = dict[str, Any] | list[Any]
"""A column's type in the Hub's JSON: {"_type": "Value", "dtype": "int64"}."""


class ReadOptions(Struct, frozen=True):
    """separator: of CSV. field: where in a JSON document the rows are; "" when it is the rows."""

    separator: str = ","
    field: str = ""


class DataFile(Struct, frozen=True):
    """One file of a split. digest: of its blob; size: bytes."""

    path: str
    digest: str
    size: int
    format: Format
    packing: Packing
    options: ReadOptions


class Split(Struct, frozen=True):
    name: str
    files: tuple[DataFile, ...]


class Config(Struct, frozen=True):
    """A way to read the repository. features: what its card says of the columns, or {}."""

    name: str
    splits: tuple[Split, ...]
    features: dict[str, Feature] = {}
    default: bool = False


class Described(Struct, frozen=True):
    """A Parquet file. size: its bytes; memory: the same when decoded. partial: it holds but the beginning of what it
    was made from."""

    rows: int
    size: int
    memory: int
    features: dict[str, Feature]
    partial: bool = False


class Row(Struct, frozen=True):
    """cells: a JSON object, column -> value. truncated: the columns whose values were cut."""

    index: int
    cells: bytes
    truncated: tuple[str, ...] = ()


class Page(Struct, frozen=True):
    """Some rows. total: how many there are that the page is cut from; None when they were not counted."""

    features: dict[str, Feature]
    rows: tuple[Row, ...]
    total: int | None
    partial: bool = False


class Histogram(Struct, frozen=True):
    """counts[i] values lie from edges[i] to before edges[i + 1]; the last edge is included."""

    counts: tuple[int, ...]
    edges: tuple[int | float | str, ...]


class Numbers(Struct, frozen=True, tag="numbers"):
    """Of numbers, lengths or times. None throughout when there is no value. std: of a sample (n - 1)."""

    missing: int
    min: int | float | str | None = None
    max: int | float | str | None = None
    mean: float | str | None = None
    median: float | str | None = None
    std: float | str | None = None
    histogram: Histogram | None = None


class Frequencies(Struct, frozen=True, tag="frequencies"):
    """unlabelled: rows of a class column that have no class (-1)."""

    missing: int
    counts: dict[str, int]
    unlabelled: int = 0


ColumnKind = Literal[
    "int", "float", "bool", "string_label", "string_text", "class_label", "list", "datetime", "image", "audio"
]


class ColumnStatistics(Struct, frozen=True):
    name: str
    kind: ColumnKind
    values: Numbers | Frequencies


class Statistics(Struct, frozen=True):
    """columns: those of a kind that can be summed up; structures cannot."""

    rows: int
    columns: tuple[ColumnStatistics, ...]
    partial: bool = False
