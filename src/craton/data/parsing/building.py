"""Builder: blocks in, one bounded text with the spans of its blocks out."""

from __future__ import annotations

from craton.core.errors import TooLarge, Unsupported
from craton.data.documents import Block, BlockKind, Parsed
from craton.data.parsing.cleaning import clean

_MAX_BLOCKS = 1_000_000  # what follows stands in the text without a block
_MAX_TITLE = 300
_MAX_NOTES = 20


class Builder:
    """Blocks are cleaned as they come, so the bound on characters holds while a document is read."""

    def __init__(self, limit: int) -> None:
        """limit: characters of the text."""
        self.title = ""
        self._limit = limit
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._size = 0
        self._notes: dict[str, None] = {}

    def add(self, kind: BlockKind, text: str, *, level: int = 0, page: int | None = None) -> None:
        """Blank text is no block. A heading gets the signs of its level. Raises TooLarge."""
        text = clean(text).rstrip()
        text = text.lstrip("\n") if kind in {"code", "list"} else text.lstrip()
        if not text.strip():
            return
        if kind == "heading":
            level = min(max(level, 1), 6)
            title = " ".join(text.split())
            self.title = self.title or title[:_MAX_TITLE]
            text = f"{'#' * level} {title}"
        if len(text) > self.room:
            raise self.too_large()
        if self._parts:
            gap = "\n" if kind == "row" and self._blocks and self._blocks[-1].kind == "row" else "\n\n"
            self._parts.append(gap)
            self._size += len(gap)
        if len(self._blocks) < _MAX_BLOCKS:
            self._blocks.append(Block(self._size, self._size + len(text), kind, level, page))
        self._parts.append(text)
        self._size += len(text)

    @property
    def filled(self) -> bool:
        return bool(self._parts)

    @property
    def room(self) -> int:
        """Characters that may still be added."""
        return self._limit - self._size

    def too_large(self) -> TooLarge:
        return TooLarge("The text of the document", self._limit, unit="characters")

    def note(self, note: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes[note] = None

    def built(self, media_type: str, empty: str = "A document without text", hint: str = "") -> Parsed:
        """Raises Unsupported(empty, hint) when there is no text."""
        if not self._parts:
            raise Unsupported(empty, hint)
        title = " ".join(clean(self.title).split())[:_MAX_TITLE]
        return Parsed("".join(self._parts), tuple(self._blocks), media_type, title, tuple(self._notes))


def table_lines(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is its header. Cells become one line each, a "|" in them a "/"."""
    width = max((len(row) for row in rows), default=0)
    lines = []
    for number, row in enumerate(rows):
        cells = [" ".join(cell.replace("|", "/").split()) for cell in row]
        lines.append("| " + " | ".join([*cells, *[""] * (width - len(cells))]) + " |")
        if number == 0:
            lines.append("|" + " --- |" * width)
    return "\n".join(lines)
