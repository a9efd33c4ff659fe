"""Rows and records: CSV, JSON, lines of JSON, XML. Each value keeps its name, so that a part can be read alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import lxml.etree
import msgspec

from craton.core.errors import Damaged
from craton.data.parsing.building import Builder
from craton.data.parsing.prose import add_text

_FIELD = 1 << 20  # characters of one value
_DEEPEST = 100
_LINES = 40  # of one block of a record


def add_csv(builder: Builder, text: str, delimiter: str) -> None:
    """delimiter: "" to find it out. A row is "name: value; name: value". The first row names the columns unless a
    number stands in it or a name is missing or twice."""
    if not delimiter:
        try:
            delimiter = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|").delimiter
        except csv.Error:
            delimiter = ","
    csv.field_size_limit(_FIELD)
    names: list[str] | None = None
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in rows:
            cells = [" ".join(cell.split()) for cell in row]
            if not any(cells):
                continue
            if names is None:
                if _names(cells):
                    names = cells
                    continue
                names = []
            builder.add("row", "; ".join(_named(names, cells)))
    except csv.Error:
        raise Damaged("The document", f"its row {rows.line_num:,} cannot be read as CSV") from None
    if names and not builder.filled:
        builder.add("row", ", ".join(names))


def _names(cells: list[str]) -> bool:
    return len(set(cells)) == len(cells) and all(cell and not _is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", ".").rstrip("%"))
    except ValueError:
        return False
    return True


def _named(names: list[str], cells: list[str]) -> Iterator[str]:
    for index, cell in enumerate(cells):
        if cell:
            yield f"{names[index]}: {cell}" if index < len(names) else cell


def add_json(builder: Builder, text: str) -> None:
    """What is no JSON after all is read as text."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if not add_json_lines(builder, text):
            builder.note("It is no JSON that can be read, and was taken as text.")
            add_text(builder, text)
        return
    for item in value if isinstance(value, list) else [value]:
        _add_record(builder, item)


def add_json_lines(builder: Builder, text: str) -> bool:
    """Whether the first line is JSON; lines that are not are left out, with a note."""
    broken = 0
    for number, line in enumerate(filter(str.strip, io.StringIO(text))):
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, ValueError):
            if number == 0:
                return False
            broken += 1
            continue
        _add_record(builder, value)
    if broken:
        builder.note(f"Lines that are no JSON were left out: {broken:,}.")
    return True


def _add_record(builder: Builder, value: Any) -> None:
    lines: list[str] = []
    for path, leaf in _leaves(value):
        lines.append(f"{path}: {leaf}" if path else leaf)
        if len(lines) == _LINES:
            builder.add("row", "\n".join(lines))
            lines.clear()
    builder.add("row", "\n".join(lines))


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    """("a.b[0].c", "its value") in order, without recursion. Raises Damaged for what is nested too deep."""
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise Damaged("The document", f"it is nested deeper than {_DEEPEST} levels")
        if isinstance(node, dict):
            inner = [(f"{path}.{key}" if path else str(key), item, depth + 1) for key, item in node.items()]
            waiting += reversed(inner)
        elif isinstance(node, list):
            if node and all(isinstance(item, (str, int, float)) for item in node):
                yield path, ", ".join(map(_worded, node))
            else:
                waiting += reversed([(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(node)])
        elif node is not None and node != "":
            yield path, _worded(node)


def _worded(value: Any) -> str:
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def add_xml(builder: Builder, text: str) -> None:
    """Elements with nothing but text as "name: text", other text as it is. Entities are not expanded."""
    parser = lxml.etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = lxml.etree.fromstring(_undeclared(text).encode("utf-8", "replace"), parser=parser)
    except lxml.etree.XMLSyntaxError as error:
        raise Damaged("The document", f"line {error.lineno or 1:,} is not well-formed XML") from None
    lines: list[str] = []
    walk = lxml.etree.iterwalk(root, events=("start",))
    for _, element in walk:
        inner = [element.text, *(child.tail for child in element)]
        if len(element) and not any(piece and piece.strip() for piece in inner):
            continue
        words = " ".join("".join(element.itertext()).split())
        if words:
            lines.append(words if len(element) else f"{lxml.etree.QName(element).localname}: {words}")
        walk.skip_subtree()
        if len(lines) >= _LINES:
            builder.add("row", "\n".join(lines))
            lines.clear()
    builder.add("row", "\n".join(lines))


def _undeclared(text: str) -> str:
    """Without the XML declaration: its encoding was that of the bytes."""
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("<?xml"):
        return text[text.find("?>") + 2 :]
    return text
