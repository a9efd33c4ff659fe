"""What the pool asks of its children, and what they answer. Length-prefixed msgpack, as between server and worker."""

from __future__ import annotations

from msgspec import Struct

from craton.children.frames import Frame, WireError
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.values import Feature, Format, Packing, ReadOptions


class Source(Struct, frozen=True):
    """A file as it was uploaded. name: for errors."""

    path: str
    name: str
    format: Format
    packing: Packing
    options: ReadOptions


class Part(Struct, frozen=True):
    """A Parquet file of a split, and where in the split its rows are."""

    path: str
    name: str
    start: int
    rows: int


class Table(Struct, frozen=True):
    """A split, as Parquet. features: column -> type; columns that are not in it are not shown."""

    parts: tuple[Part, ...]
    features: dict[str, Feature]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


class Head(Struct, frozen=True, tag="head"):
    """The first rows of a file, without reading the rest. Gives a Page."""

    source: Source
    rows: int
    features: dict[str, Feature]


class Convert(Struct, frozen=True, tag="convert"):
    """A Parquet file at target. Gives a Described."""

    source: Source
    target: str


class Describe(Struct, frozen=True, tag="describe"):
    """Gives a Described."""

    path: str
    name: str


class Window(Struct, frozen=True, tag="window"):
    """Gives a Page."""

    table: Table
    offset: int
    length: int


class Measure(Struct, frozen=True, tag="measure"):
    """Gives Statistics."""

    table: Table


class Filter(Struct, frozen=True, tag="filter"):
    """where, order: SQL expressions, or "". Gives a Page."""

    table: Table
    where: str
    order: str
    offset: int
    length: int


class Search(Struct, frozen=True, tag="search"):
    """Gives a Page, best first."""

    table: Table
    words: str
    offset: int
    length: int


Task = Head | Convert | Describe | Window | Measure | Filter | Search


class Order(Struct, frozen=True):
    task: Task
    limits: ViewLimits


class Started(Frame, frozen=True, tag="started"):
    """The child waits for tasks."""


class Answer(Frame, frozen=True, tag="answer"):
    """value: msgpack of what the task gives."""

    value: bytes


class Failed(Frame, frozen=True, tag="failed"):
    error: WireError


ChildFrame = Started | Answer | Failed
