"""Plain text, Markdown and source code: kept as they are, with the spans of their blocks."""

from __future__ import annotations

import re

from craton.data.documents import BlockKind
from craton.data.parsing.building import Builder

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_INDENTED = ("    ", "\t")
_RULED = frozenset(" \t|:-")
_FRONT = 10_000  # characters of front matter that are looked through
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")


def add_text(builder: Builder, text: str) -> None:
    for paragraph in _PARAGRAPHS.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        builder.add("paragraph", paragraph)


def add_code(builder: Builder, text: str) -> None:
    builder.add("code", text)


def add_markdown(builder: Builder, text: str) -> None:
    """Headings, code, lists, tables and paragraphs."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = _front_matter(builder, lines)
    block = _Open(builder)
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        at += 1
        if fence := _FENCE.match(line):
            end = _fence_end(lines, at, fence[1])
            block.begin("code", *lines[at - 1 : end])
            block.end()
            at = end
        elif heading := _HEADING.match(line):
            block.end()
            builder.add("heading", line[heading.end() :].rstrip().rstrip("#"), level=len(heading[1]))
        elif not line.strip():
            # a list goes on after a blank line when what follows is indented or an item
            if block.kind == "list" and (_ITEM.match(following) or following.startswith(("  ", "\t"))):
                block.lines.append("")
            else:
                block.end()
        elif block.kind == "paragraph" and (under := _UNDERLINE.match(line)):
            title = " ".join(block.lines)
            block.lines.clear()
            block.end()
            builder.add("heading", title, level=1 if under[1][0] == "=" else 2)
        elif not block.takes(line):
            block.begin(_kind(line, following), line)
        elif _ITEM.match(line) and block.kind == "paragraph":
            block.begin("list", line)
        else:
            block.lines.append(line)
    block.end()


class _Open:
    """The block that lines are added to."""

    def __init__(self, builder: Builder) -> None:
        self.kind: BlockKind | None = None
        self.lines: list[str] = []
        self._builder = builder

    def takes(self, line: str) -> bool:
        if self.kind == "table":
            return "|" in line
        if self.kind == "code":
            return line.startswith(_INDENTED)
        return self.kind is not None

    def begin(self, kind: BlockKind, *lines: str) -> None:
        self.end()
        self.kind, self.lines = kind, list(lines)

    def end(self) -> None:
        if self.kind is not None:
            self._builder.add(self.kind, "\n".join(self.lines))
        self.kind, self.lines = None, []


def _kind(line: str, following: str) -> BlockKind:
    """Of the block that this line begins."""
    if "|" in line and "|" in following and "-" in following and _RULED.issuperset(following):
        return "table"
    if line.startswith(_INDENTED):
        return "code"
    return "list" if _ITEM.match(line) else "paragraph"


def _fence_end(lines: list[str], at: int, fence: str) -> int:
    """After the line that closes the fence; at the end when none does."""
    while at < len(lines) and not lines[at].lstrip().startswith(fence):
        at += 1
    return min(at + 1, len(lines))


def _front_matter(builder: Builder, lines: list[str]) -> int:
    """Reads the YAML that some Markdown begins with as a block of code. Where the text begins."""
    if lines[0].rstrip() != "---":
        return 0
    for number in range(1, min(len(lines), 100)):
        if lines[number].rstrip() == "---":
            block = "\n".join(lines[1:number])
            if title := _FRONT_TITLE.search(block[:_FRONT]):
                builder.title = title[1]
            builder.add("code", block)
            return number + 1
    return 0
