"""Merging, file by file: what one side alone changed is taken, what both changed differently is a conflict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from craton.core.repo import Copy, Delete
from craton.hub.comparing import Changed


class Merged(Struct, frozen=True):
    """operations: what is left to do on the target. conflicts: paths, sorted."""

    operations: list[Copy | Delete]
    conflicts: list[str]


def merge(theirs: Iterable[Changed], ours: Mapping[str, Changed], head: str) -> Merged:
    """theirs: what a pull request changed since its base; ours: what the target did, by path. head: the request's
    newest revision, which the files are copied from."""
    folders = {folder for path, change in ours.items() if change.after for folder in _above(path)}
    operations: list[Copy | Delete] = []
    conflicts = []
    for change in theirs:
        other = ours.get(change.path)
        if other is not None and other.after == change.after:
            continue
        if other is not None or (change.after is not None and _in_the_way(change.path, folders, ours)):
            conflicts.append(change.path)
        elif change.after is None:
            operations.append(Delete(change.path))
        else:
            operations.append(Copy(change.path, change.path, head))
    return Merged(operations, sorted(conflicts))


def _in_the_way(path: str, folders: set[str], ours: Mapping[str, Changed]) -> bool:
    """Whether the target made a folder of this name, or a file of the name of a folder that it lies in."""
    return path in folders or any(folder in ours and ours[folder].after is not None for folder in _above(path))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
