"""Small files as tables, for the tests of looking into datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from craton.data.viewing.frames import Convert, Part, Source, Table, Window
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.tasks import perform
from craton.data.viewing.values import Described, Format, Packing, Page, ReadOptions

LIMITS = ViewLimits()


class Desk:
    """Writes files into a folder and does with them what a child would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def source(self, name: str, content: bytes, format_: Format, packing: Packing = "", **options: str) -> Source:
        path = self.folder / name
        path.write_bytes(content)
        return Source(str(path), name, format_, packing, ReadOptions(**options))

    def convert(self, source: Source, limits: ViewLimits = LIMITS) -> tuple[Described, Path]:
        target = self.folder / f"{source.name}.copy"
        described: Described = perform(Convert(source, str(target)), limits)
        return described, target

    def table(self, *sources: Source, limits: ViewLimits = LIMITS) -> Table:
        """One table of several files, converted."""
        parts, start, features = [], 0, {}
        for source in sources:
            described, path = self.convert(source, limits)
            parts.append(Part(str(path), source.name, start, described.rows))
            start += described.rows
            features = features or described.features
        return Table(tuple(parts), features)

    def csv(self, text: str, name: str = "some.csv") -> Table:
        return self.table(self.source(name, text.encode(), "csv"))

    def parquet(self, columns: dict[str, Any], name: str = "some.parquet", **options: Any) -> Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from craton.data.viewing.parquet import describe

        path = self.folder / name
        pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
        described = describe(str(path), name, LIMITS)
        return Table((Part(str(path), name, 0, described.rows),), described.features)


def rows(table: Table, offset: int = 0, length: int = 100, limits: ViewLimits = LIMITS) -> list[dict[str, Any]]:
    return cells(perform(Window(table, offset, length), limits))


def cells(page: Page) -> list[dict[str, Any]]:
    return [json.loads(row.cells) for row in page.rows]


def kinds(features: dict[str, Any]) -> dict[str, Any]:
    """Column -> dtype, where it is a plain value."""
    return {name: kind.get("dtype", kind) if isinstance(kind, dict) else kind for name, kind in features.items()}
