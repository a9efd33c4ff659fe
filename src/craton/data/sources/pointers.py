"""JSON pointers (RFC 6901): a path into a decoded document."""

from __future__ import annotations

from typing import Any


def find(document: Any, pointer: str) -> Any:
    """What it leads to, None when there is nothing. "" is the document itself."""
    found = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(found):
            found = found[int(name[:9])]
        else:
            return None
    return found


def last(pointer: str) -> str:
    """The name that it ends in, for people."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
