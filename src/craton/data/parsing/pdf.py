"""PDF: the text of each page, with its number. Pictures of text are not read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pypdfium2
import pypdfium2.raw

from craton.core.errors import Damaged, Unsupported
from craton.data.parsing.building import Builder

_HYPHEN = re.compile("(?<=[^\\W\\d_])(?:[\xad\x02\ufffe]|-(?=\r?\n))\\s*\r?\n?(?=[a-zß-ÿ])")
_DIGITS = re.compile(r"\d+")
_FEWEST_PAGES = 5  # with fewer, a line that repeats may be text
_REPEATED = 0.6  # of the pages
_NO_TEXT = ("A PDF without text", "Its pages are pictures: run OCR on it first.")


def add_pdf(builder: Builder, path: Path) -> tuple[str, str]:
    """What to say if no text was found. Raises Unsupported for an encrypted file, Damaged."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Unsupported("An encrypted PDF", "Save it without a password.") from None
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_SECURITY:
            raise Unsupported("A PDF with an unknown kind of encryption", "Save it without a password.") from None
        raise Damaged("The document", "it cannot be read as PDF") from None
    title = document.get_metadata_dict().get("Title", "")
    pages: list[list[str]] = []
    unread = 0
    room = builder.room
    for number in range(len(document)):
        try:
            page = document[number]
            text = page.get_textpage()
            lines = _joined(text.get_text_range()).split("\n")
            text.close()
            page.close()
        except pypdfium2.PdfiumError:
            lines, unread = [], unread + 1
        room -= sum(map(len, lines))
        pages.append(lines)
        if room < 0:
            raise builder.too_large()
    repeated = _repeated(pages)
    silent = 0
    for number, lines in enumerate(pages, 1):
        kept = [line for index, line in enumerate(lines) if not _edge(index, lines) or _masked(line) not in repeated]
        builder.add("paragraph", "\n".join(kept), page=number)
        silent += not any(line.strip() for line in lines)
    builder.title = title
    if unread:
        builder.note(f"{unread:,} of its {len(pages):,} pages could not be read.")
    if silent - unread > 0:
        builder.note(f"{silent - unread:,} of its {len(pages):,} pages have no text: they are blank or pictures.")
    document.close()
    return _NO_TEXT


def _joined(text: str) -> str:
    """Words that were hyphenated at the end of a line, whole again where the line end shows that it was one."""
    return _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def _edge(index: int, lines: list[str]) -> bool:
    return index in (0, len(lines) - 1)


def _masked(line: str) -> str:
    return _DIGITS.sub("#", line.strip())


def _repeated(pages: list[list[str]]) -> frozenset[str]:
    """First and last lines that stand on most pages, whatever their numbers: headers, footers, page numbers."""
    full = [lines for lines in pages if len(lines) > 2]
    if len(full) < _FEWEST_PAGES:
        return frozenset()
    counts = Counter(masked for lines in full for masked in {_masked(lines[0]), _masked(lines[-1])} if masked)
    return frozenset(line for line, count in counts.items() if count >= len(full) * _REPEATED)
