"""The smallest parts of a text that are kept whole: headings, sentences, table rows, lines of code, each with the
headings above it. What is longer than the embedder reads is cut between words, and a word only if it alone is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from msgspec import Struct

from craton.data.chunking.counting import Counter
from craton.data.chunking.sentences import sentence_spans
from craton.data.documents import Block, Parsed

CHARACTERS_PER_TOKEN = 32
"""What has more is no prose (a tokenizer may take a long run of letters for one unknown word): it is cut all the same,
so that no piece grows without bound."""

_CODE = 400  # characters of code that are kept whole
MAX_HEADING = 200  # characters of one heading, or of a table's first row
_WORD = re.compile(r"\S+")


class Unit(Struct, frozen=True, gc=False):
    """heading: the headings above it and, within a table, its first row. level: of a heading, 0 for what is none."""

    start: int
    end: int
    tokens: int
    level: int
    page: int | None
    heading: str


class _Part(Struct, gc=False):
    start: int
    end: int
    level: int
    page: int | None
    heading: str


def units(parsed: Parsed, counter: Counter, grain: int) -> list[Unit]:
    """In order; together every character that is not white space. No unit has more than `grain` tokens."""
    parts = list(_parts(parsed))
    text = parsed.text
    counts = counter.count([text[part.start : part.end] for part in parts])
    made: list[Unit] = []
    for part, tokens in zip(parts, counts, strict=True):
        if tokens <= grain and part.end - part.start <= grain * CHARACTERS_PER_TOKEN:
            made.append(Unit(part.start, part.end, tokens, part.level, part.page, part.heading))
        else:
            made += _cut(text, part, counter, grain)
    return made


def _parts(parsed: Parsed) -> Iterator[_Part]:
    text = parsed.text
    above: list[tuple[int, str]] = []
    path = ""
    page: int | None = None
    for block in _gapless(parsed):
        page = block.page if block.page is not None else page
        if block.kind == "heading":
            while above and above[-1][0] >= block.level:
                above.pop()
            above.append((block.level, _title(text[block.start : block.end])))
            path = " > ".join(title for _, title in above if title)
        heading = path
        for number, (start, end) in enumerate(_spans(text, block)):
            if number == 1 and block.kind == "table":
                first = _title(text[block.start : text.find("\n", block.start, block.end)])
                heading = f"{path} > {first}" if path else first
            yield _Part(start, end, block.level if block.kind == "heading" else 0, page, heading)


def _gapless(parsed: Parsed) -> Iterator[Block]:
    """The blocks, and between them what no block holds."""
    at = 0
    for block in parsed.blocks:
        if block.start > at:
            yield Block(at, block.start, "paragraph")
        yield block
        at = block.end
    if at < len(parsed.text):
        yield Block(at, len(parsed.text), "paragraph")


def _spans(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """Where a block may be cut."""
    if block.kind in {"heading", "row"}:
        yield from _stripped(text, block.start, block.end)
    elif block.kind == "table":
        yield from _lines(text, block.start, block.end)
    elif block.kind == "code":
        yield from _code(text, block)
    else:
        for start, end in sentence_spans(text[block.start : block.end]):
            yield block.start + start, block.start + end


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Those that are not blank."""
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield from _stripped(text, start, stop)
        start = stop + 1


def _code(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """Runs of lines up to a blank one, or up to a size."""
    first = last = -1
    for start, end in _lines(text, block.start, block.end):
        if first >= 0 and (end - first > _CODE or text.count("\n", last, start) > 1):
            yield first, last
            first = -1
        first, last = (start if first < 0 else first), end
    if first >= 0:
        yield first, last


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    value = text[start:end]
    left = len(value) - len(value.lstrip())
    if left < len(value):
        yield start + left, start + len(value.rstrip())


def _title(line: str) -> str:
    """A heading without its Markdown signs, or the cells of a row."""
    line = line.strip().split("\n", 1)[0]
    if line.startswith("|"):
        line = ", ".join(cell.strip() for cell in line.strip("|").split("|"))
    return line.strip("#").strip()[:MAX_HEADING]


def _cut(text: str, part: _Part, counter: Counter, grain: int) -> Iterator[Unit]:
    """A part that is too long, as few units."""
    words = [match.span() for match in _WORD.finditer(text, part.start, part.end)]
    counts = counter.count([text[start:end] for start, end in words])
    most = grain * CHARACTERS_PER_TOKEN
    first, last, tokens = part.start, part.start, 0  # the unit that is open

    def unit(start: int, end: int, count: int) -> Unit:
        return Unit(start, end, count, part.level, part.page, part.heading)

    for (start, end), count in zip(words, counts, strict=True):
        if tokens and (tokens + count > grain or end - first > most):
            yield from _checked(text, unit(first, last, tokens), counter, grain)
            tokens = 0
        if count > grain or end - start > most:
            for span in _halves(text, start, end, counter, grain):
                yield unit(*span)
        else:
            first = first if tokens else start
            last, tokens = end, tokens + count
    if tokens:
        yield from _checked(text, unit(first, last, tokens), counter, grain)


def _checked(text: str, unit: Unit, counter: Counter, grain: int) -> Iterator[Unit]:
    """The unit, in halves where its words together take more than they do alone."""
    if counter.adds_up:
        yield unit
        return
    for start, end, tokens in _halves(text, unit.start, unit.end, counter, grain):
        yield Unit(start, end, tokens, unit.level, unit.page, unit.heading)


def _halves(text: str, start: int, end: int, counter: Counter, grain: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, tokens), cut in the middle until each fits: at white space near the middle, else between letters."""
    waiting = [(start, end)]
    while waiting:
        first, last = waiting.pop()
        span = next(_stripped(text, first, last), None)
        if span is None:
            continue
        first, last = span
        tokens = counter.count([text[first:last]])[0]
        if (tokens <= grain and last - first <= grain * CHARACTERS_PER_TOKEN) or last - first == 1:
            yield first, last, min(tokens, grain)  # a character alone that does not fit cannot be cut
            continue
        middle = _between(text, first, last)
        waiting += [(middle, last), (first, middle)]


def _between(text: str, start: int, end: int) -> int:
    middle = (start + end) // 2
    for space in (text.find(" ", middle, end), text.rfind(" ", start, middle)):
        if start < space < end and abs(space - middle) < (end - start) // 4:
            return space
    cut = middle
    while cut < end - 1 and cut - middle < 16 and unicodedata.combining(text[cut]):
        cut += 1
    return cut
