"""One file to one text, in this process: what a child does for each document."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.data.documents import Parsed
from craton.data.parsing.archives import check_archive
from craton.data.parsing.building import Builder
from craton.data.parsing.decoding import decode
from craton.data.parsing.limits import ParseLimits
from craton.data.parsing.sniffing import HEAD, Format, binary_format, office_format, text_format

_CODE = "1"  # of this package: raise it when the same bytes may give another text
_LIBRARIES = ("charset-normalizer", "lxml", "openpyxl", "pypdfium2", "python-docx", "python-pptx", "trafilatura")
_WIDEST = 4  # bytes of a character, at most
_TAIL = 1 << 16  # bytes: where the directory of an OLE file usually lies
_WHOLE: frozenset[Format] = frozenset({"html", "json", "xml", "mail"})

MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "html": "text/html",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xml": "application/xml",
    "mail": "message/rfc822",
    "code": "text/plain",
    "text": "text/plain",
}


def parser_version() -> str:
    return "/".join([_CODE, *(f"{name}-{_installed(name)}" for name in _LIBRARIES)])


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def read(path: Path, name: str, media_type: str, limits: ParseLimits) -> Parsed:
    """Raises Unsupported, TooLarge, Damaged with words for the document's owner. What libraries raise on broken files
    passes through."""
    size = path.stat().st_size
    if not size:
        raise Unsupported("An empty document")
    with path.open("rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, size - _TAIL), os.SEEK_SET)
        tail = file.read(_TAIL)
    binary = binary_format(head, tail, name)
    builder = Builder(limits.characters)
    if binary == "pdf":
        from craton.data.parsing.pdf import add_pdf

        what, hint = add_pdf(builder, path)
        return builder.built(MEDIA_TYPES["pdf"], what, hint)
    if binary == "zip":
        return _office(builder, path, limits)
    if size > limits.characters * _WIDEST:
        raise TooLarge("The document", limits.characters * _WIDEST, size)
    return _text(builder, path.read_bytes(), name, media_type, limits)


def _office(builder: Builder, path: Path, limits: ParseLimits) -> Parsed:
    check_archive(path, limits)
    kind = office_format(path)
    if kind == "docx":
        from craton.data.parsing.word import add_docx

        add_docx(builder, path)
    elif kind == "xlsx":
        from craton.data.parsing.sheets import add_xlsx

        add_xlsx(builder, path)
    else:
        from craton.data.parsing.slides import add_pptx

        add_pptx(builder, path)
    return builder.built(MEDIA_TYPES[kind])


def _text(builder: Builder, content: bytes, name: str, media_type: str, limits: ParseLimits) -> Parsed:
    text, note = decode(content, media_type)
    kind = text_format(text[:HEAD], name, media_type)
    if kind in _WHOLE and len(content) > limits.whole_bytes:
        raise TooLarge("The document", limits.whole_bytes, len(content))
    if note:
        builder.note(note)
    if not text.strip():
        raise Unsupported("An empty document")
    _add(builder, kind, text, content)
    return builder.built(MEDIA_TYPES[kind])


def _add(builder: Builder, kind: Format, text: str, content: bytes) -> None:
    from craton.data.parsing import prose

    if kind == "html":
        from craton.data.parsing.html import add_html

        add_html(builder, text)
    elif kind == "markdown":
        prose.add_markdown(builder, text)
    elif kind == "code":
        prose.add_code(builder, text)
    elif kind == "mail":
        from craton.data.parsing.mail import add_mail

        add_mail(builder, content)
    elif kind in {"csv", "tsv", "json", "jsonl", "xml"}:
        _add_records(builder, kind, text)
    else:
        prose.add_text(builder, text)


def _add_records(builder: Builder, kind: Format, text: str) -> None:
    from craton.data.parsing import records

    if kind == "xml":
        records.add_xml(builder, text)
    elif kind == "json":
        records.add_json(builder, text)
    elif kind == "jsonl":
        if not records.add_json_lines(builder, text):
            raise Damaged("The document", "its first line is no JSON")
    else:
        records.add_csv(builder, text, "\t" if kind == "tsv" else "")
