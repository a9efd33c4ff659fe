"""How a file is to come in: with the commit, or beforehand as a large one (Git LFS); and whether at all.

As on the Hub: what .gitattributes says, then the size, then whether its beginning looks like text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.errors import NotFound
from craton.core.repo import RepoId, TreeEntry
from craton.hub import rows, trees
from craton.hub.patterns import MAX_BYTES, Attributes, Ignored
from craton.store.blobs import Blobs
from craton.store.database import Database

MAX_REGULAR = 10 * 1024 * 1024  # bytes of a file that a commit may hold itself
_TEXT = frozenset(range(0x20, 0x100)) - {0x7F} | {0x07, 0x08, 0x09, 0x0A, 0x0C, 0x0D, 0x1B}
Mode = Literal["regular", "lfs"]


class Asked(Struct, frozen=True):
    """sample: how the file begins."""

    path: str
    size: int
    sample: bytes


class Told(Struct, frozen=True):
    """oid: what stands at the path now: a large file's sha256, another's git id; None when nothing does."""

    path: str
    mode: Mode
    ignored: bool
    oid: str | None


class UploadModes:
    """Blocking, safe in threads. The tenant is the owner that `reaching` found."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database, self._blobs = database, blobs

    def tell(
        self, tenant: str, repo: RepoId, revision: str, files: Sequence[Asked], gitignore: str | None = None
    ) -> list[Told]:
        """gitignore: the rules to go by instead of those that the repository has.

        Raises NotFound; a repository without any commit yet has an empty main branch.
        """
        with self._database.read() as connection:
            present = _Present.at(connection, tenant, repo, revision)
            attributes = Attributes(self._text(present.find(".gitattributes")))
            ignored = Ignored(self._text(present.find(".gitignore")) if gitignore is None else gitignore)
            return [
                Told(it.path, _mode(it, attributes), it.path in ignored, _oid(present.find(it.path))) for it in files
            ]

    def _text(self, file: TreeEntry | None) -> str:
        if file is None or file.large or file.size > MAX_BYTES:
            return ""
        return b"".join(self._blobs.read(file.digest)).decode(errors="replace")


class _Present:
    """Files of one revision, or of none."""

    def __init__(self, root: str | None, fetch: trees.Fetch) -> None:
        self._root, self._fetch = root, trees.cached(fetch)

    @classmethod
    def at(cls, connection: Connection, tenant: str, repo: RepoId, revision: str) -> _Present:
        repository = rows.find(connection, tenant, repo).id
        root = None
        try:
            found = rows.resolve(connection, tenant, repository, revision)
            root = rows.find_revision(connection, tenant, repository, found).tree
        except NotFound:
            if revision != "main":
                raise
        return cls(root, rows.fetcher(connection, tenant, repository))

    def find(self, path: str) -> TreeEntry | None:
        entry = trees.find(self._root, path, self._fetch) if self._root and path else None
        return entry if isinstance(entry, TreeEntry) else None


def _mode(file: Asked, attributes: Attributes) -> Mode:
    if not file.size:
        return "regular"
    large = attributes.large(file.path)
    return "lfs" if large or file.size > MAX_REGULAR or (large is None and not _is_text(file.sample)) else "regular"


def _is_text(sample: Iterable[int]) -> bool:
    return _TEXT.issuperset(sample)


def _oid(file: TreeEntry | None) -> str | None:
    if file is None:
        return None
    return file.digest if file.large else file.git_oid
