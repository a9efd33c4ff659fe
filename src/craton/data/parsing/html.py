"""HTML: the main text by trafilatura; all of it where that leaves too much out."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterator

import lxml.etree
import lxml.html

from craton.core.errors import Damaged
from craton.data.parsing.building import Builder, table_lines
from craton.data.parsing.prose import add_markdown

_KEPT = 0.35  # of the text that is seen: an extraction with less has lost what matters
_DROPPED = (
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "math",
    "iframe",
    "object",
    "select",
    "button",
    "textarea",
)
_FRAME = ("nav", "footer", "aside", "form", "dialog")
_BLOCKS = re.compile(
    "p|div|section|article|main|header|address|blockquote|fig(ure|caption)|d[ltd]|body|html|[uo]l|table|tr|fieldset|"
    "details|summary|center|[hb]r|nav|footer|aside|form|dialog"
)
_MARKED = re.compile(r"^#", re.MULTILINE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def add_html(builder: Builder, text: str) -> None:
    """Raises Damaged for what no HTML parser reads. Adds nothing when there is no text."""
    # huge_tree: 2,048 levels instead of 256; how much memory it may take is bounded by the process
    parser = lxml.html.HTMLParser(
        no_network=True, remove_comments=True, remove_pis=True, encoding="utf-8", huge_tree=True
    )
    try:
        tree = lxml.html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (lxml.etree.LxmlError, ValueError, AssertionError):
        raise Damaged("The document", "it cannot be read as HTML") from None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):  # it gives up without a word
        raise Damaged("The document", "it is nested too deep")
    for element in list(tree.iter(*_DROPPED)):
        element.drop_tree()
    title = tree.findtext(".//title")
    builder.title = " ".join((title or "").split())
    for element in list(tree.iter("title")):
        element.drop_tree()
    seen = sum(len(piece.strip()) for piece in tree.itertext())
    found = _main_text(tree)
    headed = next(tree.iter(*_HEADINGS), None) is not None
    # its last resort is all text without structure: then ours is better
    if sum(map(len, found.split())) >= max(seen * _KEPT, 1) and (not headed or _MARKED.search(found)):
        add_markdown(builder, found)
        return
    _add_all(builder, tree)


def _main_text(tree: lxml.html.HtmlElement) -> str:
    """ "" when trafilatura finds none, or fails."""
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        found = trafilatura.extract(
            copy.deepcopy(tree),
            output_format="markdown",
            include_comments=False,
            include_formatting=True,
            include_tables=True,
            include_links=False,
            include_images=False,
            favor_recall=True,
            deduplicate=False,
        )
    except MemoryError:
        raise
    except Exception:  # whatever it stumbles over, the document still has its text
        return ""
    return found or ""


def _add_all(builder: Builder, tree: lxml.html.HtmlElement) -> None:
    """Everything but the frame of the page; with the frame when there is nothing else."""
    before = len(_words(tree))
    inside = list(tree.iter(*_FRAME))
    framed = sum(len(_words(element)) for element in inside)
    if framed < before * 0.9:
        for element in inside:
            if element.getparent() is not None:
                element.drop_tree()
    for kind, level, text in _walk(tree):
        if kind == "heading":
            builder.add("heading", text, level=level)
        elif kind == "table":
            builder.add("table", text)
        elif kind == "code":
            builder.add("code", f"```\n{text}\n```")
        elif kind == "list":
            builder.add("list", text)
        else:
            builder.add("paragraph", text)


def _words(element: lxml.html.HtmlElement) -> str:
    return "".join("".join(element.itertext()).split())


def _walk(tree: lxml.html.HtmlElement) -> Iterator[tuple[str, int, str]]:
    """(kind, level, text) in the order of the document. Not recursive: pages nest deeper than Python does."""
    held: list[str] = []
    items: list[str] = []

    def taken() -> str:
        text = " ".join("".join(held).split())
        held.clear()
        return text

    def listed() -> Iterator[tuple[str, int, str]]:
        if items:
            yield "list", 0, "\n".join(items)
            items.clear()

    skipped: lxml.html.HtmlElement | None = None
    depth = 0
    for event, element in lxml.etree.iterwalk(tree, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if skipped is not None:
            if event == "end" and element is skipped:
                skipped = None
                held.append(element.tail or "")
            continue
        whole = tag in _HEADINGS or tag in {"pre", "table"}
        if whole or _BLOCKS.fullmatch(tag) or tag == "li":
            text = taken()
            if text and (depth or tag == "li") and event == "end":
                items.append(f"{'  ' * (depth - 1)}- {text}")
            elif text:
                if depth:
                    items.append(f"{'  ' * (depth - 1)}- {text}")
                else:
                    yield from listed()
                    yield "paragraph", 0, text
        if whole and event == "start":
            yield from listed()
            if tag in _HEADINGS:
                yield "heading", _HEADINGS[tag], " ".join("".join(element.itertext()).split())
            elif tag == "pre":
                yield "code", 0, "".join(element.itertext()).strip("\n")
            else:
                yield from _table(element)
            skipped = element
            continue
        if tag in {"ul", "ol"}:
            depth += 1 if event == "start" else -1
            if not depth:
                yield from listed()
        held.append((element.text if event == "start" else element.tail) or "")
    if text := taken():
        yield from listed()
        yield "paragraph", 0, text
    yield from listed()


def _table(element: lxml.html.HtmlElement) -> Iterator[tuple[str, int, str]]:
    """One with a table inside, or with a single column, is layout: its cells are paragraphs."""
    rows = [
        [" ".join("".join(cell.itertext()).split()) for cell in row.iterchildren("td", "th")]
        for row in element.iter("tr")
    ]
    rows = [row for row in rows if any(row)]
    nested = element.find(".//table") is not None
    if nested or max((len(row) for row in rows), default=0) < 2:
        for text in element.itertext():
            if text.strip():
                yield "paragraph", 0, " ".join(text.split())
    else:
        yield "table", 0, table_lines(rows)
