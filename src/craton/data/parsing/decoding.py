"""Bytes to text whose encoding may be mislabelled: byte order mark, UTF-8 if it is that, what is declared if it fits,
and a guess that is noted."""

from __future__ import annotations

import codecs
import re

from craton.core.errors import Unsupported

_SAMPLE = 256 << 10  # bytes that a guess looks at
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_BROKEN = 1000  # UTF-8 with at most one broken byte in so many is UTF-8


def decode(content: bytes, media_type: str) -> tuple[str, str]:
    """(text, a note or ""). Raises Unsupported for what is no text."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.decode(encoding, "replace"), ""
    if b"\0" in content:
        wide = _wide(content[:_SAMPLE])
        if wide is None:
            raise Unsupported("A binary file", "Its format is not known.")
        return content.decode(wide, "replace"), f"It has no byte order mark; read as {wide}."
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if broken * _BROKEN <= len(text) and any(character > "\x7f" and character != "\ufffd" for character in text):
        return text, "Some of its bytes are not UTF-8."
    declared = _CHARSET.search(media_type.encode("ascii", "replace")) or _CHARSET.search(content[:2048])
    if declared is not None:
        found = _decoded(content, declared[1].decode("ascii"))
        if found is not None:
            return found, ""
    encoding = _guess(content[:_SAMPLE])
    return content.decode(encoding, "replace"), f"Its encoding is not declared; read as {encoding}."


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        if not codecs.lookup(encoding)._is_text_encoding:
            return None
        return content.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark, if every other byte is mostly zero and what comes out can be read."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(len(sample) // 2, 1)
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros * 2 > half and others * 20 < half:
            text = sample[: len(sample) // 2 * 2].decode(encoding, "replace")
            readable = sum(character.isprintable() or character.isspace() for character in text)
            if readable * 20 >= len(text) * 19:
                return encoding
    return None


def _guess(sample: bytes) -> str:
    """Raises Unsupported when the bytes are no text in any encoding."""
    controls = sum(sample.count(bytes((code,))) for code in (*range(1, 9), 11, *range(14, 27), *range(28, 32), 127))
    if controls * 50 > len(sample):
        raise Unsupported("A binary file", "Its format is not known.")
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"
