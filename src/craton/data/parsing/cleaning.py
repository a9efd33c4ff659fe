"""Text as Craton keeps it: NFC, "\\n" line ends, nothing that a reader cannot see."""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x9f"  # control characters
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"  # zero width, directions
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors and tags: text can be hidden in them
    "\ud800-\udfff\ufffe\uffff"  # no characters at all
    "]+"
)
# Persian and the scripts of India spell with these two; elsewhere they are invisible.
_JOINERS = re.compile("(?<![\u0600-\u08ff\u0900-\u0dff])[\u200c\u200d]+|[\u200c\u200d]{2,}|[\u200c\u200d]+(?!\\w)")


def clean(text: str) -> str:
    """The same text for a reader. clean(clean(x)) == clean(x)."""
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    text = _UNSEEN.sub("", text)
    if text.isascii():
        return text
    text = _SPACES.sub(" ", text)
    if "\u200c" in text or "\u200d" in text:
        text = _JOINERS.sub("", text)
    return unicodedata.normalize("NFC", text)
