"""What a commit's operations make of a tree. Pure reading: the one writer is `repositories.Hub.commit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.errors import InvalidRequest, NotFound
from craton.core.repo import Add, Copy, Delete, Operation, RepoId, TreeEntry
from craton.hub import rows, trees
from craton.hub.editing import Editor
from craton.hub.files import StoredFile, git_id, stored_files
from craton.hub.git import pointer_id
from craton.hub.names import check_path, is_digest
from craton.hub.reaching import Reached
from craton.hub.trees import Tree
from craton.store.blobs import Blobs

MAX_OPERATIONS = 100_000  # of one commit
MAX_MESSAGE_BYTES = 64 * 1024


class Outcome(Struct, frozen=True):
    """tree: what the operations make. brought: files of other tenants' repositories that it holds."""

    tree: Tree
    brought: dict[str, StoredFile]


class Applying:
    """Operations on one repository, inside one transaction.

    sources: the other repositories that may be copied from; whoever hands them in has asked who may read them.
    """

    def __init__(
        self,
        connection: Connection,
        tenant: str,
        repository: str,
        blobs: Blobs,
        sources: Mapping[RepoId, Reached],
    ) -> None:
        self._connection, self._tenant, self._repository = connection, tenant, repository
        self._blobs, self._sources = blobs, sources
        self._roots: dict[tuple[RepoId | None, str], tuple[str, str, trees.Fetch]] = {}
        self._brought: dict[str, StoredFile] = {}

    def apply(self, base: str | None, operations: list[Operation]) -> Outcome:
        """base: the revision to begin with, None for an empty tree. Raises InvalidRequest, NotFound."""
        known = self._known(operations)
        root = None if base is None else rows.find_revision(self._connection, self._tenant, self._repository, base).tree
        editor = Editor(root, rows.fetcher(self._connection, self._tenant, self._repository))
        for operation in operations:
            if isinstance(operation, Add):
                editor.put(self._added(operation, known[operation.digest]))
            elif isinstance(operation, Copy):
                entry = self._source(operation)
                editor.put(TreeEntry(operation.path, entry.digest, entry.size, entry.git_oid, entry.large))
            else:
                editor.remove(operation.path)
        return Outcome(editor.tree(), self._brought)

    def _known(self, operations: list[Operation]) -> dict[str, StoredFile]:
        added = {operation.digest: operation for operation in operations if isinstance(operation, Add)}
        known = stored_files(self._connection, self._tenant, added)
        for digest, add in added.items():
            if digest not in known or not self._blobs.exists(digest):
                raise InvalidRequest(f"the file {add.path!r} was not uploaded: its bytes are not stored", "path")
        return known

    def _added(self, add: Add, file: StoredFile) -> TreeEntry:
        if file.size != add.size:
            raise InvalidRequest(f"{add.path!r} has {file.size} bytes, not {add.size}", "size")
        oid = pointer_id(file.digest, file.size) if add.large else git_id(self._blobs, file)
        return TreeEntry(add.path, file.digest, file.size, oid, add.large)

    def _source(self, copy: Copy) -> TreeEntry:
        key = (copy.source, copy.source_revision)
        if key not in self._roots:
            self._roots[key] = self._root(*key)
        owner, root, fetch = self._roots[key]
        entry = trees.find(root, copy.source_path, fetch)
        if not isinstance(entry, TreeEntry):
            raise NotFound("file", copy.source_path)
        if owner != self._tenant and entry.digest not in self._brought:
            theirs = stored_files(self._connection, owner, [entry.digest])
            if entry.digest not in theirs:
                raise NotFound("file", copy.source_path)
            self._brought[entry.digest] = theirs[entry.digest]
        return entry

    def _root(self, source: RepoId | None, revision: str) -> tuple[str, str, trees.Fetch]:
        owner, repository = self._tenant, self._repository
        if source is not None:
            reached = self._sources.get(source)
            if reached is None:
                raise NotFound("repository", source.path)
            owner, repository = reached.owner, reached.id
        found = rows.resolve(self._connection, owner, repository, revision)
        root = rows.find_revision(self._connection, owner, repository, found).tree
        return owner, root, trees.cached(rows.fetcher(self._connection, owner, repository))


def checked(operations: Iterable[Operation]) -> list[Operation]:
    """All of them. Raises InvalidRequest when there are none or too many, or one of them cannot be."""
    found: list[Operation] = []
    for operation in operations:
        if len(found) == MAX_OPERATIONS:
            raise InvalidRequest(f"a commit may hold {MAX_OPERATIONS:,} operations", "operations")
        check_path(operation.path.removesuffix("/") if isinstance(operation, Delete) else operation.path)
        if isinstance(operation, Add) and not is_digest(operation.digest):
            raise InvalidRequest("the digest is not a SHA-256 in hex", "digest")
        found.append(operation)
    if not found:
        raise InvalidRequest("a commit needs at least one operation", "operations")
    return found


def check_message(message: str) -> None:
    """Raises InvalidRequest."""
    try:
        size = len(message.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest("it is not valid Unicode", "message") from error
    if "\0" in message or size > MAX_MESSAGE_BYTES:
        raise InvalidRequest(f"it holds a NUL or is longer than {MAX_MESSAGE_BYTES:,} bytes", "message")


def one_line(author: str) -> str:
    """Without what would end the author's line of a git commit early."""
    return "".join(character for character in author if character.isprintable() and character not in "<>")[:200]
