"""Word documents: headings, lists, paragraphs and tables in their order."""

from __future__ import annotations

import re
from pathlib import Path

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph

from craton.data.parsing.building import Builder, table_lines

_HEADING = re.compile(r"heading (\d)")


def add_docx(builder: Builder, path: Path) -> None:
    document = docx.Document(str(path))
    items: list[str] = []

    def listed() -> None:
        builder.add("list", "\n".join(items))
        items.clear()

    for part in document.iter_inner_content():
        if isinstance(part, Table):
            listed()
            _add_table(builder, part)
            continue
        style = (part.style.name or "").lower() if part.style is not None else ""
        heading = _HEADING.match(style)
        if not heading and style != "title" and _is_item(part, style):
            if part.text.strip():
                items.append(f"- {' '.join(part.text.split())}")
            continue
        listed()
        if heading or style == "title":
            builder.add("heading", part.text, level=int(heading[1]) if heading else 1)
        else:
            builder.add("paragraph", part.text)
    listed()
    builder.title = document.core_properties.title or builder.title


def _is_item(paragraph: Paragraph, style: str) -> bool:
    properties = paragraph._p.pPr
    return style.startswith("list") or (properties is not None and properties.numPr is not None)


def _add_table(builder: Builder, table: Table) -> None:
    """A cell that spans columns is given once."""
    rows = []
    for row in table.rows:
        cells: list[str] = []
        before = None
        for cell in row.cells:
            if cell._tc is not before:
                cells.append(cell.text)
            before = cell._tc
        rows.append(cells)
    builder.add("table", table_lines([row for row in rows if any(cell.strip() for cell in row)]))
