"""A pull request's changes as text, as `git diff` writes them. What is long or no text is named, not shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from craton.core.repo import TreeEntry
from craton.hub.collaboration.diffing import hunks
from craton.hub.comparing import Changed

MAX_FILES = 50  # that are shown
MAX_NAMED = 1000  # more files than these are not even named
MAX_FILE = 128 * 1024  # bytes of one side
MAX_PATCH = 1024 * 1024  # characters in all

Read = Callable[[str], bytes]
"""A blob's digest to its bytes."""


def write_patch(changes: Iterable[Changed], read: Read) -> str:
    """At most MAX_PATCH characters, and the rest of the file in which that was reached."""
    parts: list[str] = []
    size = shown = 0
    for number, change in enumerate(changes):
        if number == MAX_NAMED or size > MAX_PATCH:
            parts.append("... more files changed; they are not shown\n")
            break
        text = _file(change, read, shown < MAX_FILES)
        shown += "\n@@" in text
        size += len(text)
        parts.append(text)
    return "".join(parts)


def _file(change: Changed, read: Read, show: bool) -> str:
    old, new = f"a/{change.path}", f"b/{change.path}"
    head = [f"diff --git {old} {new}"]
    if change.before is None:
        head.append("new file mode 100644")
    elif change.after is None:
        head.append("deleted file mode 100644")
    head.append(
        f"index {_oid(change.before)}..{_oid(change.after)}" + (" 100644" if change.before and change.after else "")
    )
    old, new = (old if change.before else "/dev/null"), (new if change.after else "/dev/null")
    before, after = _text(change.before, read) if show else None, _text(change.after, read) if show else None
    if before is None or after is None:
        return "\n".join([*head, f"Binary files {old} and {new} differ\n"])
    lines = list(hunks(before, after))
    if lines:
        head += [f"--- {old}", f"+++ {new}"]
    return "\n".join([*head, *lines, ""])


def _oid(entry: TreeEntry | None) -> str:
    return entry.git_oid[:10] if entry else "0" * 10


def _text(entry: TreeEntry | None, read: Read) -> list[str] | None:
    """The lines, None when it is no text or too long."""
    if entry is None:
        return []
    if entry.size > MAX_FILE:
        return None
    try:
        text = read(entry.digest).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else list(_lines(text))


def _lines(text: str) -> Iterator[str]:
    """git's lines: only "\\n" ends one. What a file without a last end has is said as git says it."""
    if not text:
        return
    *lines, last = text.split("\n")
    yield from lines
    if last:
        yield f"{last}\n\\ No newline at end of file"
