"""Keys as paths in a folder, and back. No key leads out of its folder.

A key's parts between slashes are names of folders, its last part is a file's: so the files of a folder that somebody
else fills are objects under their own paths. Parts that a file system cannot hold (empty ones, "." and "..") and
parts that look like Craton's own files stand under an escaped name.
"""

from __future__ import annotations

from pathlib import Path

from craton.core.errors import TooLarge

OWN = ".craton-"  # begins every name that is not a part of a key
TEMPORARY = f"{OWN}tmp"  # the folder of files that are being written
MAX_NAME = 255  # bytes that file systems allow
_ESCAPED = f"{OWN}key-"


def path_of(key: str) -> Path:
    """The relative path of a checked key. Raises TooLarge when no file can have such a name."""
    return Path(*(_name(part) for part in key.split("/")))


def _name(part: str) -> str:
    name = _ESCAPED + part if part in {"", ".", ".."} or part.startswith(OWN) else part
    size = len(name.encode())
    if size > MAX_NAME:
        raise TooLarge("A part of a key between slashes", MAX_NAME, size)
    return name


def part_of(name: str) -> str | None:
    """The part of a key that a folder's entry stands for; None when it stands for none.

    Only the one name that `path_of` writes for a part is read back, so no two paths have the same key.
    """
    if name.startswith(OWN):
        part = name.removeprefix(_ESCAPED)
        return part if name.startswith(_ESCAPED) and _name(part) == name else None
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return None
    return name
