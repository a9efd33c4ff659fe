"""How values stand in the Hub's JSON: times, commits, files and folders."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from craton.core.repo import Gating, RepoId, Revision, TreeEntry, TreeFolder
from craton.hub.git import pointer


def write_time(seconds: float) -> str:
    """2023-01-31T12:00:00.000Z"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def split_message(message: str) -> tuple[str, str]:
    """Title and the rest."""
    title, _, rest = message.partition("\n")
    return title, rest.strip("\n")


def write_item(item: TreeEntry | TreeFolder, commit: Revision | None = None) -> dict[str, Any]:
    """A file or a folder of a tree; commit: the one that last changed it."""
    if isinstance(item, TreeFolder):
        written: dict[str, Any] = {"type": "directory", "oid": item.git_oid, "size": 0, "path": item.path}
    else:
        written = {"type": "file", "oid": item.git_oid, "size": item.size, "path": item.path}
        if item.large:
            written["lfs"] = {"oid": item.digest, **_pointed(item)}
    if commit is not None:
        title, _ = split_message(commit.message)
        written["lastCommit"] = {"id": commit.id, "title": title, "date": write_time(commit.created)}
    return written


def write_sibling(entry: TreeEntry, blobs: bool) -> dict[str, Any]:
    """A file as a repository's information lists it. blobs: with size and ids."""
    if not blobs:
        return {"rfilename": entry.path}
    written: dict[str, Any] = {"rfilename": entry.path, "size": entry.size, "blobId": entry.git_oid}
    if entry.large:
        written["lfs"] = {"sha256": entry.digest, **_pointed(entry)}
    return written


def write_gated(gated: Gating) -> str | bool:
    return gated or False


def write_names(repo: RepoId, found: str) -> dict[str, Any]:
    """The id in the forms that clients of all ages read. found: the repository's own id, which a move keeps."""
    names = {"_id": found, "id": repo.path}
    return {**names, "modelId": repo.path} if repo.kind == "model" else names


def _pointed(entry: TreeEntry) -> dict[str, int]:
    return {"size": entry.size, "pointerSize": len(pointer(entry.digest, entry.size))}
