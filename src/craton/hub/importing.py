"""How a model comes in: files are stored, looked at, and only then committed, as one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from craton.core.errors import Conflict, NotFound
from craton.core.model import ModelInfo
from craton.core.repo import Add, Delete, Operation, RepoId, TreeEntry
from craton.hub.cards import complete_card
from craton.hub.describing import MAX_CARD
from craton.hub.models import Models

CHUNK = 1024 * 1024
SAFE_SUFFIXES = frozenset({".safetensors", ".gguf", ".json", ".txt", ".model", ".jinja", ".md"})
"""Files that cannot run anything when they are read. Pickles (.bin, .pt, .pkl ...) and programs stay outside."""


class Progress(Protocol):
    """Told of every step. stage: "download", "store" or "check"; total is 0 when it is not known."""

    def __call__(self, stage: str, done_bytes: int, total_bytes: int) -> None: ...


def quiet(stage: str, done_bytes: int, total_bytes: int) -> None:
    """A Progress that shows nothing."""


class Incoming(Struct, frozen=True):
    """A file that is to be at `path`. expected: the sha256 it must have; size: bytes, exactly."""

    path: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    expected: str | None = None


class Imported(Struct, frozen=True):
    """changed: whether there is a new revision. skipped: files that were left out, because they are not safe kinds."""

    info: ModelInfo
    changed: bool
    skipped: tuple[str, ...] = ()


def is_safe(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return Path(name).suffix in SAFE_SUFFIXES or name in {"license", "notice"}


def from_path(path: str, file: Path, expected: str | None = None) -> Incoming:
    def chunks() -> Iterator[bytes]:
        with file.open("rb", buffering=0) as opened:
            while chunk := opened.read(CHUNK):
                yield chunk

    return Incoming(path, file.stat().st_size, chunks, expected)


class Importer:
    """Puts models into one tenant's repositories."""

    def __init__(self, models: Models, tenant: str, author: str = "craton") -> None:
        self.models, self.tenant, self._hub, self._author = models, tenant, models.hub, author

    def put(
        self,
        repo: RepoId,
        files: Iterable[Incoming],
        message: str,
        card: Mapping[str, Any] | None = None,
        progress: Progress = quiet,
    ) -> Imported:
        """Makes the main branch hold exactly these files, and a README.md that has the card's fields.

        Raises Damaged for a broken file, what the template check raises, Conflict when somebody commits meanwhile.
        """
        incoming = list(files)
        entries = self._store(incoming, progress)
        self._complete(entries, dict(card or {}), repo)
        progress("check", 0, 0)
        info = self.models.inspect(self.tenant, repo, entries)
        with suppress(Conflict):
            self._hub.create(self.tenant, repo)
        parent, before = self._head(repo)
        operations: list[Operation] = [
            Add(entry.path, entry.digest, entry.size) for entry in entries.values() if before.get(entry.path) != entry
        ]
        operations += [Delete(path) for path in before if path not in entries]
        if not operations:
            return Imported(self.models.info(self.tenant, repo), changed=False)
        # Deletions go first: a file may become a folder of the same name.
        operations.sort(key=lambda operation: not isinstance(operation, Delete))
        revision = self._hub.commit(self.tenant, repo, "main", parent, operations, message, self._author)
        info = replace(info, revision=revision.id, created=revision.created)
        return Imported(self.models.remember(self.tenant, repo, info), changed=True)

    def holds(self, repo: RepoId, digests: Mapping[str, str]) -> bool:
        """Whether the main branch has these files (path -> sha256), with their bytes in place."""
        try:
            _, entries = self._head(repo)
        except NotFound:
            return False
        return all(
            path in entries and entries[path].digest == digest and self._hub.blobs.exists(digest)
            for path, digest in digests.items()
        )

    def _store(self, incoming: list[Incoming], progress: Progress) -> dict[str, TreeEntry]:
        total, done = sum(file.size for file in incoming), 0

        def counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal done
            for chunk in chunks:
                yield chunk
                done += len(chunk)
                progress("store", done, total)

        entries = {}
        for file in incoming:
            stored = self._hub.store(self.tenant, counted(file.chunks()), file.size, file.expected)
            entries[file.path] = TreeEntry(file.path, stored.digest, stored.size, stored.git_oid)
        return entries

    def _complete(self, entries: dict[str, TreeEntry], card: dict[str, Any], repo: RepoId) -> None:
        readme = entries.get("README.md")
        if readme is not None and readme.size > MAX_CARD:
            return
        old = None if readme is None else b"".join(self._hub.blobs.read(readme.digest)).decode(errors="replace")
        new = complete_card(old, card, repo.name)
        if new != old:
            content = new.encode()
            stored = self._hub.store(self.tenant, [content], len(content))
            entries["README.md"] = TreeEntry("README.md", stored.digest, stored.size, stored.git_oid)

    def _head(self, repo: RepoId) -> tuple[str | None, dict[str, TreeEntry]]:
        refs = self._hub.refs(self.tenant, repo)
        head = next((ref.revision for ref in refs if (ref.kind, ref.name) == ("branch", "main")), None)
        entries = self._hub.tree(self.tenant, repo, head) if head else []
        return head, {entry.path: entry for entry in entries}
