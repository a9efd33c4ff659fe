"""PowerPoint presentations: each slide with its title, its texts, its tables and its notes. A slide is a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pptx
from pptx.shapes.base import BaseShape
from pptx.shapes.group import GroupShape

from craton.data.parsing.building import Builder, table_lines

_DEEPEST = 20  # groups within groups


def add_pptx(builder: Builder, path: Path) -> None:
    presentation = pptx.Presentation(str(path))
    for number, slide in enumerate(presentation.slides, 1):
        title = slide.shapes.title
        if title is not None:
            builder.add("heading", title.text_frame.text, level=2, page=number)
        for shape in _shapes(slide.shapes):
            if title is not None and shape.shape_id == title.shape_id:
                continue
            _add_shape(builder, shape, number)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            builder.add("paragraph", slide.notes_slide.notes_text_frame.text, page=number)
    builder.title = presentation.core_properties.title or builder.title


def _shapes(shapes: Iterable[BaseShape], depth: int = 0) -> Iterator[BaseShape]:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            if depth < _DEEPEST:
                yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _add_shape(builder: Builder, shape: Any, page: int) -> None:
    if shape.has_table:
        rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
        builder.add("table", table_lines(rows), page=page)
    elif shape.has_text_frame:
        lines = [paragraph.text for paragraph in shape.text_frame.paragraphs if paragraph.text.strip()]
        if len(lines) > 1:
            builder.add("list", "\n".join(f"- {line}" for line in lines), page=page)
        else:
            builder.add("paragraph", "\n".join(lines), page=page)
