"""Git's object ids (SHA-1 over "type size\\0content"), so that our trees and commits have the ids git would give them.

Source: Pro Git, "Git Internals - Git Objects". They name things for clients; Craton itself trusts sha256 only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator


def _object_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content, usedforsecurity=False).hexdigest()


class BlobId:
    """The id of a blob while it streams by. Its size must be known at the start."""

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        self.seen = 0

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, counted and hashed."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def update(self, chunk: bytes) -> None:
        self.seen += len(chunk)
        self._hash.update(chunk)

    def hex(self) -> str:
        return self._hash.hexdigest()


def pointer(digest: str, size: int) -> bytes:
    """What Git LFS puts into a tree instead of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()


def pointer_id(digest: str, size: int) -> str:
    """The id of that pointer's blob."""
    return _object_id("blob", pointer(digest, size))


def tree_id(entries: Iterable[tuple[str, bytes, bool]]) -> str:
    """The id of a folder. entries: (name, 20-byte id, whether it is a folder), in any order."""

    def order(entry: tuple[str, bytes, bool]) -> bytes:
        name, _, folder = entry
        return name.encode() + (b"/" if folder else b"")

    return _object_id(
        "tree",
        b"".join(
            (b"40000 " if folder else b"100644 ") + name.encode() + b"\0" + oid
            for name, oid, folder in sorted(entries, key=order)
        ),
    )


def commit_id(tree: str, parent: str | None, author: str, created: int, message: str) -> str:
    """created: whole seconds since the epoch."""
    who = f"{author} <> {created} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {who}", f"committer {who}"]
    return _object_id("commit", ("\n".join(lines) + f"\n\n{message}\n").encode())
