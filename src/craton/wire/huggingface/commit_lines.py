"""A commit's body: a JSON object on each line, a header first and then what is to be done.

Read line by line while it arrives: of the files that a commit holds itself, a few are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from craton.core.errors import InvalidRequest, TooLarge, Unsupported
from craton.core.repo import Delete
from craton.hub.committing import MAX_OPERATIONS
from craton.hub.names import is_digest
from craton.hub.upload_modes import MAX_REGULAR

MAX_LINE = MAX_REGULAR // 3 * 4 + 64 * 1024
MAX_SIZE = 2**62


class Line(Struct, frozen=True):
    key: str
    value: Raw


class Header(Struct, frozen=True):
    summary: str
    description: str = ""
    parentCommit: str | None = None

    @property
    def message(self) -> str:
        return f"{self.summary}\n\n{self.description}" if self.description else self.summary


class Content(Struct, frozen=True):
    """A file that is in the commit itself."""

    path: str
    content: bytes


class Large(Struct, frozen=True):
    """A file that came before. size: None when it was not said."""

    path: str
    oid: str
    size: int | None = None
    algo: str = "sha256"


class _Encoding(Struct, frozen=True):
    encoding: str = "utf-8"


class _Text(Struct, frozen=True):
    path: str
    content: str


class _Path(Struct, frozen=True):
    path: str


Item = Content | Large | Delete

_line = msgspec.json.Decoder(Line).decode
_header = msgspec.json.Decoder(Header).decode
_encoding = msgspec.json.Decoder(_Encoding).decode
_content = msgspec.json.Decoder(Content).decode
_text = msgspec.json.Decoder(_Text).decode
_large = msgspec.json.Decoder(Large).decode
_path = msgspec.json.Decoder(_Path).decode


class CommitLines:
    """header: read at once. items: the rest, once. Raises InvalidRequest, TooLarge and Unsupported, naming the line."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._lines = _lines(blocks)
        number, text = next(self._lines, (1, b""))
        try:
            first = _line(text)
            if first.key != "header":
                raise InvalidRequest("the first line of a commit is its header", "header")
            self.header = _header(first.value)
        except msgspec.DecodeError as error:
            raise _invalid(number, error) from error
        if not self.header.summary:
            raise InvalidRequest("a commit needs a summary", "summary")

    def items(self) -> Iterator[Item]:
        for count, (number, text) in enumerate(self._lines):
            if count == MAX_OPERATIONS:
                raise TooLarge("The commit", MAX_OPERATIONS, unit="operations")
            try:
                line = _line(text)
                item = _item(line.key, line.value)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _invalid(number, error) from error
            del text, line
            yield item


def _item(key: str, value: Raw) -> Item:
    if key == "file":
        return _file(value)
    if key == "lfsFile":
        return _checked(_large(value))
    if key == "deletedFile":
        return Delete(_path(value).path)
    if key == "deletedFolder":
        return Delete(_path(value).path.rstrip("/") + "/")
    raise Unsupported(f"The operation {key[:40]!r} in a commit")


def _file(value: Raw) -> Content:
    encoding = _encoding(value).encoding
    if encoding == "base64":
        found = _content(value)
    elif encoding == "utf-8":
        text = _text(value)
        found = Content(text.path, text.content.encode())
    else:
        raise Unsupported(f"The encoding {encoding[:40]!r}", "Send base64 or utf-8.")
    if len(found.content) > MAX_REGULAR:
        raise _too_large(len(found.content))
    return found


def _checked(found: Large) -> Large:
    if found.algo != "sha256" or not is_digest(found.oid):
        raise InvalidRequest("a large file is named by its SHA-256 in hex", "oid")
    if found.size is not None and not 0 <= found.size < MAX_SIZE:
        raise InvalidRequest("it cannot be so large", "size")
    return found


def _lines(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with something on them, numbered from 1. What is unfinished is joined only once its end is there."""
    parts: list[bytes] = []
    number, size = 1, 0
    for block in blocks:
        pieces = block.split(b"\n")
        for piece in pieces[:-1]:
            line = b"".join((*parts, piece)) if parts else piece
            if len(line) > MAX_LINE:
                raise _too_large()
            if line.strip():
                yield number, line
            number, parts, size = number + 1, [], 0
        parts.append(pieces[-1])
        size += len(pieces[-1])
        if size > MAX_LINE:
            raise _too_large()
    line = b"".join(parts)
    if line.strip():
        yield number, line


def _too_large(actual: int | None = None) -> TooLarge:
    return TooLarge("A file within a commit (larger ones are uploaded before it)", MAX_REGULAR, actual)


def _invalid(number: int, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"the line is not valid: {str(error)[:300]}", f"line {number}")
