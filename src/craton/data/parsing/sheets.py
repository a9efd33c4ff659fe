"""Excel workbooks: each sheet as tables of a few rows, with the header row over each, so that a part can be read
alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path

import openpyxl

from craton.data.parsing.building import Builder, table_lines

_ROWS = 20  # of one table
_COLUMNS = 1_000
_EMPTY_ROWS = 10_000  # in a row, then a sheet has ended, whatever it declares


def add_xlsx(builder: Builder, path: Path) -> None:
    """Values as they were last calculated; formulas are not."""
    with path.open("rb") as file:  # by its path, openpyxl would judge it by its name
        workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        for sheet in workbook.worksheets:
            rows = _rows(sheet.iter_rows(values_only=True, max_col=_COLUMNS))
            header = next(rows, None)
            if header is None:
                continue
            if len(workbook.worksheets) > 1 or not sheet.title.lower().startswith("sheet"):
                builder.add("heading", sheet.title, level=2)
            block = list(islice(rows, _ROWS))
            builder.add("table", table_lines([header, *block]))
            while block := list(islice(rows, _ROWS)):
                builder.add("table", table_lines([header, *block]))
        builder.title = (workbook.properties.title or "") if workbook.properties is not None else ""


def _rows(values: Iterator[tuple[object, ...]]) -> Iterator[list[str]]:
    empty = 0
    for row in values:
        cells = [_worded(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            empty = 0
            yield cells
        else:
            empty += 1
            if empty >= _EMPTY_ROWS:
                return


def _worded(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()
