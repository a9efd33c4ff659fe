"""What words are searched in: a text with what stands above it."""

from __future__ import annotations

MAX_ABOVE = 400  # characters of a title, and of a heading


def worded(title: str, heading: str, text: str) -> str:
    """The text with its document's title and the headings above it in front, each unless what follows begins with it.

    Only what words are searched in: embedded with every piece, titles make ranks worse (measured on SciFact).
    """
    for above in (heading[:MAX_ABOVE].strip(), title[:MAX_ABOVE].strip()):
        if above and not text.lstrip("#* ").startswith(above):
            text = f"{above}\n{text}"
    return text
