"""Repositories: commits over trees of blobs. Changes are data before they are carried out."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

RepoKind = Literal["model", "dataset", "space"]
Gating = Literal["", "auto", "manual"]
"""Who else may read a shared repository's files: "" everybody, "auto" whoever asked, "manual" whom the owner let in."""


class RepoId(Struct, frozen=True):
    """kind, and namespace/name as users write it."""

    kind: RepoKind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"


class Add(Struct, frozen=True, tag="add"):
    """Put the blob with this sha256 (hex; it must be stored already) at path.

    large: git's tree names a pointer to it, as Git LFS does, and not the bytes themselves.
    """

    path: str
    digest: str
    size: int
    large: bool = False


class Copy(Struct, frozen=True, tag="copy"):
    """Take what stands at source_path in source_revision: of the same repository, or of another one (source)."""

    path: str
    source_path: str
    source_revision: str
    source: RepoId | None = None


class Delete(Struct, frozen=True, tag="delete"):
    """Remove one file, or everything below a folder: with "/" at its end, or where no file is called so."""

    path: str


Operation = Add | Copy | Delete


class TreeEntry(Struct, frozen=True):
    """One file of a revision. git_oid is the git blob SHA-1 (hex), which Hugging Face clients compare: of the bytes, or
    of the pointer to them where the file is large (Git LFS)."""

    path: str
    digest: str
    size: int
    git_oid: str
    large: bool = False


class TreeFolder(Struct, frozen=True):
    """One folder of a revision. git_oid: of its tree. digest: of the object that holds it: equal folders are equal."""

    path: str
    git_oid: str
    digest: str


class Revision(Struct, frozen=True):
    """A commit. id: 40 hex digits. created: seconds since the epoch."""

    id: str
    parent: str | None
    message: str
    author: str
    created: float
