"""What a file is: told by its bytes, then by its name, then by what its source says."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

from craton.core.errors import Damaged, Unsupported

HEAD = 8192  # bytes that are looked at

Format = Literal[
    "pdf", "docx", "xlsx", "pptx", "html", "markdown", "csv", "tsv", "json", "jsonl", "xml", "mail", "code", "text"
]

_SAVE_AS = {
    ".doc": "Save it as .docx.",
    ".xls": "Save it as .xlsx.",
    ".ppt": "Save it as .pptx.",
    ".xlsb": "Save it as .xlsx.",
}
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (  # where, what, in words, what to do instead
    (0, b"\x89PNG\r\n\x1a\n", "An image", "Text in pictures is not read: run OCR on it first."),
    (0, b"\xff\xd8\xff", "An image", "Text in pictures is not read: run OCR on it first."),
    (0, b"GIF8", "An image", "Text in pictures is not read: run OCR on it first."),
    (0, b"II*\x00", "An image", "Text in pictures is not read: run OCR on it first."),
    (0, b"MM\x00*", "An image", "Text in pictures is not read: run OCR on it first."),
    (8, b"WEBP", "An image", "Text in pictures is not read: run OCR on it first."),
    (8, b"WAVE", "A sound recording", "Transcribe it first."),
    (0, b"ID3", "A sound recording", "Transcribe it first."),
    (0, b"OggS", "A sound recording", "Transcribe it first."),
    (0, b"fLaC", "A sound recording", "Transcribe it first."),
    (4, b"ftyp", "A film or a sound recording", "Transcribe it first."),
    (0, b"\x1aE\xdf\xa3", "A film", "Transcribe it first."),
    (0, b"\x1f\x8b", "An archive", "Unpack it first."),
    (0, b"BZh", "An archive", "Unpack it first."),
    (0, b"\xfd7zXZ\x00", "An archive", "Unpack it first."),
    (0, b"7z\xbc\xaf\x27\x1c", "An archive", "Unpack it first."),
    (0, b"Rar!", "An archive", "Unpack it first."),
    (0, b"\x28\xb5\x2f\xfd", "An archive", "Unpack it first."),
    (257, b"ustar", "An archive", "Unpack it first."),
    (0, b"{\\rtf", "A rich text (RTF) document", "Save it as .docx."),
    (0, b"\x7fELF", "A program", ""),
    (0, b"MZ\x90\x00", "A program", ""),
    (0, b"SQLite format 3\x00", "A database file", "Use a SQL source."),
    (0, b"PAR1", "A Parquet file", "Use a hub source, or export it as CSV."),
)
_NAMES: dict[str, Format] = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".md", ".markdown", ".mdx"), "markdown"),
    **dict.fromkeys((".xml", ".rss", ".atom", ".svg", ".xsd", ".wsdl"), "xml"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".json", ".geojson", ".ipynb"), "json"),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc", ".org"), "text"),
    **dict.fromkeys(
        (
            *(".py", ".pyi", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".c", ".h", ".cc", ".cpp", ".hpp"),
            *(".cs", ".go", ".rs", ".rb", ".php", ".swift", ".scala", ".sh", ".bash", ".zsh", ".ps1", ".sql", ".r"),
            *(".jl", ".lua", ".pl", ".hs", ".clj", ".ex", ".erl", ".ml", ".f90", ".tf", ".proto", ".gradle", ".cmake"),
            *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".css", ".scss", ".dockerfile", ".vue", ".svelte"),
        ),
        "code",
    ),
    ".csv": "csv",
    ".tsv": "tsv",
    ".eml": "mail",
}
_TYPES: dict[str, Format] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/json": "json",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/xml": "xml",
    "text/xml": "xml",
    "message/rfc822": "mail",
}
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)*(?:<\?xml[^>]*>\s*)?(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"</?(?:p|div|body|head|h[1-6]|table|ul|ol|li|br|span|a|article|section|pre)\b[^>]*>", re.IGNORECASE)


def office_format(path: Path) -> Format:
    """Of a zip file, whose directory has been checked. Raises Unsupported for one that is no Office document."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        raise Damaged("The document", "its zip directory cannot be read") from None
    if "word/document.xml" in members:
        return "docx"
    if "xl/workbook.xml" in members:
        return "xlsx"
    if "ppt/presentation.xml" in members:
        return "pptx"
    if "xl/workbook.bin" in members:
        raise Unsupported("A binary Excel workbook", _SAVE_AS[".xlsb"])
    if "content.xml" in members:
        raise Unsupported("An OpenDocument file", "Save it as .docx, .xlsx or .pptx.")
    if "META-INF/container.xml" in members:
        raise Unsupported("An EPUB book", "Convert it to HTML or PDF.")
    raise Unsupported("An archive", "Unpack it first.")


def binary_format(head: bytes, tail: bytes, name: str) -> Literal["pdf", "zip", ""]:
    """head, tail: the first and the last bytes. Gives "" for what may be text; raises Unsupported for what is known to
    be something else."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        if "EncryptedPackage".encode("utf-16-le") in head + tail:
            raise Unsupported("An encrypted Office document", "Save it without a password.")
        hint = _SAVE_AS.get(PurePosixPath(name.lower()).suffix, "Save it as .docx, .xlsx or .pptx.")
        raise Unsupported("An Office document in the format before 2007", hint)
    for at, magic, what, hint in _MAGIC:
        if head.startswith(magic, at):
            raise Unsupported(what, hint)
    return ""


def text_format(beginning: str, name: str, media_type: str) -> Format:
    """beginning: of the decoded text. HTML and XML are told by how they begin, whatever their name."""
    start = beginning.lstrip("\ufeff \t\r\n")
    if _HTML.match(start):
        return "html"
    named = _NAMES.get(PurePosixPath(name.lower()).suffix) or _TYPES.get(media_type.partition(";")[0].strip().lower())
    if start.startswith("<?xml"):
        return "xml"
    if named == "html" and not _TAG.search(beginning):
        return "text"
    if named == "xml" and not start.startswith("<"):
        return "text"
    if named in {"json", "jsonl"} and not start.startswith(("{", "[", '"')):
        return "text"
    return named or "text"
