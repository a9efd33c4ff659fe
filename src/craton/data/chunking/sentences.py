"""Where sentences begin and end: by rules alone, for texts as parsers make them (Markdown's headings, lists, tables).

Lines come first: headings, table rows, list items and pieces of code are units of their own, whatever they hold. In
between, lines that look wrapped are read as one paragraph and cut after sentence ends, unless the dot belongs to an
abbreviation, an initial or a number.
"""

# ruff: noqa: RUF001 - the punctuation of many scripts is the matter here

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

MAX_CODE = 1_000  # characters of one span of code, cut at line ends
_WRAPPED = 45  # characters: a shorter line was ended on purpose, not for want of room

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ALONE = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||[-=*_]{3,}[ \t]*$)")  # heading, table row, rule
_STARTS = re.compile(
    r"""[ \t]*(?:[-*+•◦▪‣·–][ \t]               # a list item
        |\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{2,5})\)[ \t]|\d{1,3}\.[ \t]
        |>[ \t]?
        |\[?\d{4}-\d\d-\d\d[T \]])              # a line of a log
    """,
    re.VERBOSE,
)
_KEYED = re.compile(r"[ \t]*[\w.\[\]/ -]{1,60}:[ \t]")  # "key: value"
_END = re.compile(
    r"""(?P<always>[。！？｡।॥؟۔։።]+["'”’»」』）】》〉\])]*)    # needs no space after it
        |(?<![.!?…])[.!?…]+["'”’»)\]*_`]*+(?:\[\d{1,3}(?:[,–-]\d{1,3})*\])*(?=\s)
    """,
    re.VERBOSE,
)
_NEXT = re.compile(r"[\s\"'“‘«(\[¿¡*_`]*+(\w[\w'’-]{0,40})?")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]|Ph\.D|M\.Sc|B\.Sc")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Never the end, in any spelling.
_NEVER = _words("e.g i.e cf vs viz fig figs eq eqs eqn approx resp ibid mr mrs messrs prof")
# Not before a name: titles, written with a capital.
_TITLES = _words("Dr Ms Mx St Gen Col Sen Rep Gov Hon Rev Capt Lt Sgt Maj Adm Cmdr Pres Mt Ft Sr Jr")
# Not before a number.
_COUNTED = _words(
    "no nos p pp vol vols ch art sec sect ref refs tab al ca c app nr jan feb mar apr jun jul aug sep sept oct nov dec "
    "suppl ex par para cl v ed"
)
# Only before a word that opens sentences.
_SELDOM = _words("inc ltd co corp bros dept univ assn est al jr sr ave blvd rd")
_OPENERS = _words(
    "A After Although An And As At Because Before But By Each For From Furthermore He Her Here His How However I If In "
    "It Its Many More Moreover Most My Nevertheless No Not Now On Once One Only Our She Since So Some Such That The "
    "Their Then There Therefore These They This Those Through Thus To Two Under Unlike Until We What When Where "
    "Whether Which While Who Why With Yet You Your"
)


def sentence_spans(text: str) -> list[Span]:
    """[(start, end)]: in order, never overlapping, never beginning or ending with white space; together they cover
    every character of the text that is not white space. Linear in the text's length."""
    spans: list[Span] = []
    for start, end, prose in _units(text):
        cuts = _cuts(text, start, end) if prose else ()
        at = start
        for cut in (*cuts, end):
            begin, stop = _trimmed(text, at, cut)
            if begin < stop:
                spans.append((begin, stop))
            at = cut
    return spans


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _lines(text: str) -> Iterator[Span]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, end
        start = end


def _units(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether it is prose) of paragraphs, items, headings, rows and pieces of code."""
    fence = ""  # what closes the code that we are in
    first = last = 0  # the unit that is open: text[first:last]
    before = ""  # its last line
    for start, end in _lines(text):
        line = text[start:end].rstrip()
        opens = _FENCE.match(line)
        if fence:
            if last > first and end - first > MAX_CODE:
                yield first, last, False
                first = start
            last = end
            if opens and opens[1].startswith(fence) and line.strip() == opens[1]:
                yield first, last, False
                first, fence = last, ""
            continue
        alone = opens is not None or _ALONE.match(line) is not None
        if last > first and (
            not line or alone or _STARTS.match(line) or not _wraps(text[first : first + 80], before, line)
        ):
            yield first, last, True
            first = last
        if last <= first:
            first = start
        last, before = end, line
        if opens:
            fence = opens[1]
        elif alone or not line:
            yield start, end, False
            first = end
    if last > first:
        yield first, last, not fence


def _wraps(opening: str, before: str, line: str) -> bool:
    """Whether a paragraph goes on in this line: the one before was full, or this one begins inside a sentence. opening:
    how the paragraph begins; a key and its value do not go on in another key and its value."""
    if _KEYED.match(line) and (len(before) < _WRAPPED or _KEYED.match(opening)):
        return False
    return len(before) >= _WRAPPED or line.lstrip()[:1].islower()


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Where sentences end inside a paragraph."""
    cased: bool | None = None
    sentence = start
    for found in _END.finditer(text, start, end):
        cut = found.end()
        if not found["always"]:
            if cased is None:  # in a text without capitals they cannot tell where sentences begin
                cased = text[start:end].lower() != text[start:end]
            following = _NEXT.match(text, cut, end)
            word = (following[1] or "") if following else ""
            if not _ends(text, sentence, found.start(), found[0], word, cased):
                continue
        yield cut
        sentence = cut


def _ends(text: str, sentence: int, dot: int, mark: str, following: str, cased: bool) -> bool:
    """Whether the mark at text[dot] ends the sentence that began at `sentence`, seeing the word that follows it."""
    if cased and following[:1].islower():
        return False
    if mark != ".":
        return True
    before = text[max(sentence, dot - 40) : dot].split()
    word = before[-1].lstrip("\"'“‘([{*_") if before else ""
    low = word.lower()
    numbered = following[:1].isdigit()
    if low in _NEVER or word in _TITLES:
        return False
    if numbered and low in _COUNTED:
        return False
    if low in _SELDOM or (len(word) == 1 and word.isupper()) or _DOTTED.fullmatch(word):
        return following in _OPENERS
    # "1." at the beginning is a number, not a sentence
    return not (len(before) == 1 and dot - sentence < 40 and word.isdecimal() and len(word) <= 3)
