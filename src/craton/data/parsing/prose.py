"""Plain text, Markdown and source code: kept as they are, with the spans of their blocks."""

from __future__ import annotations

import re

from craton.data.documents import BlockKind
from craton.data.parsing.building import Builder

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_RULED = re.compile(r"[ \t]*\|?[ \t:|-]*-[ \t:|-]*$")
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def add_text(builder: Builder, text: str) -> None:
    for paragraph in _PARAGRAPHS.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        builder.add("paragraph", paragraph)


def add_code(builder: Builder, text: str) -> None:
    builder.add("code", text)


def add_markdown(builder: Builder, text: str) -> None:
    """Headings, fenced code, lists, tables and paragraphs. Indented code is read as a paragraph."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = _front_matter(builder, lines)
    open_kind: BlockKind | None = None
    held: list[str] = []

    def flush() -> None:
        nonlocal open_kind
        if held:
            builder.add(open_kind or "paragraph", "\n".join(held))
            held.clear()
        open_kind = None

    while at < len(lines):
        line = lines[at]
        if fence := _FENCE.match(line):
            flush()
            end = _fence_end(lines, at, fence[1])
            builder.add("code", "\n".join(lines[at:end]))
            at = end
            continue
        if heading := _HEADING.match(line):
            flush()
            builder.add("heading", heading[2], level=len(heading[1]))
        elif not line.strip():
            # a list goes on after a blank line when what follows is indented or an item
            following = lines[at + 1] if at + 1 < len(lines) else ""
            if open_kind == "list" and (_ITEM.match(following) or following.startswith(("  ", "\t"))):
                held.append("")
            else:
                flush()
        elif (
            open_kind is None and "|" in line and at + 1 < len(lines) and "|" in lines[at + 1] and _ruled(lines[at + 1])
        ):
            flush()
            open_kind = "table"
            held.append(line)
        elif open_kind == "table" and "|" not in line:
            flush()
            continue
        elif open_kind == "paragraph" and (under := _UNDERLINE.match(line)):
            title = " ".join(part.strip() for part in held)
            held.clear()
            flush()
            builder.add("heading", title, level=1 if under[1][0] == "=" else 2)
        elif _ITEM.match(line) and open_kind != "list":
            flush()
            open_kind = "list"
            held.append(line)
        else:
            open_kind = open_kind or "paragraph"
            held.append(line)
        at += 1
    flush()


def _fence_end(lines: list[str], at: int, fence: str) -> int:
    """After the line that closes the fence; at the end when none does."""
    end = at + 1
    while end < len(lines) and not lines[end].lstrip().startswith(fence):
        end += 1
    return min(end + 1, len(lines))


def _ruled(line: str) -> bool:
    return _RULED.match(line) is not None


def _front_matter(builder: Builder, lines: list[str]) -> int:
    """Reads the YAML that some Markdown begins with as a block of code. Where the text begins."""
    if lines[0].rstrip() != "---":
        return 0
    for number in range(1, min(len(lines), 100)):
        if lines[number].rstrip() == "---":
            block = "\n".join(lines[1:number])
            if title := _FRONT_TITLE.search(block):
                builder.title = title[1]
            builder.add("code", block)
            return number + 1
    return 0
