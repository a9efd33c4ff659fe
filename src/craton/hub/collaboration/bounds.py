"""How much people may write."""

from __future__ import annotations

from craton.core.errors import InvalidRequest, TooLarge

MIN_TITLE, MAX_TITLE = 3, 200  # characters
MAX_TEXT = 64 * 1024  # bytes of a comment
MAX_EVENTS = 1000  # of one discussion
MAX_HISTORY = 5  # versions of a comment that are kept


def check_title(title: str) -> str:
    """The title without blanks around it. Raises InvalidRequest."""
    title = title.strip()
    if not MIN_TITLE <= len(title) <= MAX_TITLE or not title.isprintable():
        raise InvalidRequest(f"use one line of {MIN_TITLE} to {MAX_TITLE} characters", "title")
    return title


def check_text(text: str, field: str = "comment", limit: int = MAX_TEXT) -> str:
    """Raises InvalidRequest for an empty text or one that no database takes, TooLarge."""
    text = text.strip()
    if not text or "\0" in text:
        raise InvalidRequest("it is empty or holds a NUL", field)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest("it is not valid Unicode", field) from error
    if size > limit:
        raise TooLarge(f"The {field}", limit, size)
    return text


def check_note(text: str, field: str, limit: int) -> str:
    """A text of at most `limit` characters, which may be empty."""
    if len(text) > limit:
        raise TooLarge(f"The {field}", limit, len(text), "characters")
    return check_text(text, field) if text.strip() else ""
