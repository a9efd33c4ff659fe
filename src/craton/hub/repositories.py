"""Repositories: the one writer of commits, and everything that reads them.

Another tenant's repository and one that does not exist are the same NotFound.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from craton.core.errors import Conflict, InvalidRequest, NotFound, Stale
from craton.core.repo import Add, Copy, Delete, Operation, RepoId, RepoKind, Revision, TreeEntry
from craton.hub import rows, trees
from craton.hub.files import StoredFile, store_file, stored_files
from craton.hub.git import commit_id
from craton.hub.names import check_path, check_ref, check_repo, is_digest
from craton.hub.refs import Ref, RefKind, Refs
from craton.hub.tables import models, objects, refs, repositories, revisions
from craton.store.blobs import Blobs
from craton.store.database import Database

MAX_OPERATIONS = 50_000  # of one commit
MAX_MESSAGE_BYTES = 64 * 1024


class Repository(Struct, frozen=True):
    """created: seconds since the epoch."""

    repo: RepoId
    created: float


class Hub:
    """Every method takes the tenant first and sees nothing of any other. Safe to use from several threads."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], float]) -> None:
        self.database, self.blobs, self._clock = database, blobs, clock

    # --- repositories ---------------------------------------------------------------------------------------

    def create(self, tenant: str, repo: RepoId) -> Repository:
        """An empty repository. Raises Conflict when it exists."""
        check_repo(repo)
        created = self._clock()
        try:
            with self.database.write() as connection:
                connection.execute(
                    insert(repositories).values(
                        tenant=tenant,
                        id=secrets.token_hex(8),
                        kind=repo.kind,
                        namespace=repo.namespace,
                        name=repo.name,
                        created=created,
                    )
                )
        except IntegrityError as error:
            raise Conflict("repository", repo.path, "it exists already") from error
        return Repository(repo, created)

    def get(self, tenant: str, repo: RepoId) -> Repository:
        with self.database.read() as connection:
            return Repository(repo, rows.find(connection, tenant, repo).created)

    def repositories(self, tenant: str, kind: RepoKind | None = None) -> list[Repository]:
        """Sorted by kind, namespace and name."""
        table = repositories.c
        query = select(table.kind, table.namespace, table.name, table.created).where(table.tenant == tenant)
        if kind is not None:
            query = query.where(table.kind == kind)
        with self.database.read() as connection:
            found = connection.execute(query.order_by(table.kind, table.namespace, table.name))
            return [Repository(RepoId(row.kind, row.namespace, row.name), row.created) for row in found]

    def delete(self, tenant: str, repo: RepoId) -> None:
        """The repository and its history. Blobs stay until they are collected."""
        with self.database.write() as connection:
            found = rows.find(connection, tenant, repo, lock=True).id
            for table in (models, refs, revisions, objects):
                connection.execute(delete(table).where(table.c.tenant == tenant, table.c.repository == found))
            connection.execute(delete(repositories).where(repositories.c.tenant == tenant, repositories.c.id == found))

    # --- writing --------------------------------------------------------------------------------------------

    def store(self, tenant: str, chunks: Iterable[bytes], size: int, expected: str | None = None) -> StoredFile:
        """Brings in a file of exactly `size` bytes, so that a commit may name it. Raises Damaged."""
        return store_file(self.database, self.blobs, tenant, chunks, size, expected)

    def commit(
        self,
        tenant: str,
        repo: RepoId,
        branch: str,
        parent: str | None,
        operations: Iterable[Operation],
        message: str,
        author: str,
    ) -> Revision:
        """Applies the operations, in their order, to `parent` and moves the branch there, in one transaction.

        parent: the revision that the branch points at; None when there is no such branch yet (it starts empty).
        Raises Conflict when the branch points elsewhere by now, InvalidRequest for bad paths or files that were not
        stored, NotFound for what a Copy or Delete names and is not there.
        """
        check_ref(branch)
        operations = _checked(operations)
        _check_message(message)
        author = _one_line(author)
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            _check_head(Refs(connection, tenant, repository), branch, parent)
            files = self._apply(connection, tenant, repository, parent, operations)
        tree = trees.build(files)
        created = self._clock()
        revision = Revision(
            commit_id(tree.oid, parent, author, int(created), message), parent, message, author, created
        )
        with self.database.write() as connection:
            repository = rows.find(connection, tenant, repo, lock=True).id
            known = Refs(connection, tenant, repository)
            _check_head(known, branch, parent)
            rows.insert_objects(connection, tenant, repository, tree.objects)
            rows.insert_revision(connection, tenant, repository, tree.root, revision)
            if parent is None:
                known.create("branch", branch, revision.id)
            else:
                known.move("branch", branch, revision.id)
        return revision

    def _apply(
        self, connection: Connection, tenant: str, repository: str, parent: str | None, operations: list[Operation]
    ) -> dict[str, TreeEntry]:
        added = {operation.digest: operation for operation in operations if isinstance(operation, Add)}
        known = stored_files(connection, tenant, added)
        for digest, add in added.items():
            if digest not in known or not self.blobs.exists(digest):
                raise InvalidRequest(f"the file {add.path!r} was not uploaded: its bytes are not stored", "path")
        sources: dict[str, dict[str, TreeEntry]] = {}

        def source(revision: str) -> dict[str, TreeEntry]:
            if revision not in sources:
                found = rows.resolve(connection, tenant, repository, revision)
                sources[revision] = rows.load_tree(connection, tenant, repository, found)
            return sources[revision]

        files = dict(source(parent)) if parent is not None else {}
        for operation in operations:
            if isinstance(operation, Add):
                file = known[operation.digest]
                if file.size != operation.size:
                    raise InvalidRequest(f"{operation.path!r} has {file.size} bytes, not {operation.size}", "size")
                files[operation.path] = TreeEntry(operation.path, file.digest, file.size, file.git_oid)
            elif isinstance(operation, Copy):
                entry = source(operation.source_revision).get(operation.source_path)
                if entry is None:
                    raise NotFound("file", operation.source_path)
                files[operation.path] = TreeEntry(operation.path, entry.digest, entry.size, entry.git_oid)
            else:
                _remove(files, operation.path)
        return files

    # --- refs -----------------------------------------------------------------------------------------------

    def refs(self, tenant: str, repo: RepoId) -> list[Ref]:
        with self.database.read() as connection:
            return Refs(connection, tenant, rows.find(connection, tenant, repo).id).all()

    def create_ref(self, tenant: str, repo: RepoId, kind: RefKind, name: str, revision: str) -> Ref:
        """A branch or tag at `revision` (a name or an id). Raises Conflict when it exists."""
        with self.database.write() as connection:
            repository = rows.find(connection, tenant, repo, lock=True).id
            found = rows.resolve(connection, tenant, repository, revision)
            Refs(connection, tenant, repository).create(kind, name, found)
        return Ref(kind, name, found)

    def delete_ref(self, tenant: str, repo: RepoId, kind: RefKind, name: str) -> None:
        with self.database.write() as connection:
            Refs(connection, tenant, rows.find(connection, tenant, repo, lock=True).id).delete(kind, name)

    # --- reading --------------------------------------------------------------------------------------------

    def resolve(self, tenant: str, repo: RepoId, revision: str = "main") -> str:
        """The commit id that a branch, a tag ("refs/tags/x" when a branch has its name) or an id stands for."""
        with self.database.read() as connection:
            return rows.resolve(connection, tenant, rows.find(connection, tenant, repo).id, revision)

    def tree(self, tenant: str, repo: RepoId, revision: str = "main") -> list[TreeEntry]:
        """Every file of the revision, sorted by path."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            return [*rows.load_tree(connection, tenant, repository, found).values()]

    def entry(self, tenant: str, repo: RepoId, revision: str, path: str) -> TreeEntry:
        """One file. Raises NotFound, also when the path is a folder."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            root = rows.find_revision(connection, tenant, repository, found).tree
            entry = trees.find(root, path, rows.fetcher(connection, tenant, repository))
        if entry is None:
            raise NotFound("file", path)
        return entry

    def history(
        self, tenant: str, repo: RepoId, revision: str = "main", *, offset: int = 0, limit: int = 100
    ) -> list[Revision]:
        """The revision and its ancestors, newest first."""
        with self.database.read() as connection:
            repository = rows.find(connection, tenant, repo).id
            found = rows.resolve(connection, tenant, repository, revision)
            return rows.ancestors(connection, tenant, repository, found, offset, limit)


def _checked(operations: Iterable[Operation]) -> list[Operation]:
    checked = list(operations)
    if not checked:
        raise InvalidRequest("a commit needs at least one operation", "operations")
    if len(checked) > MAX_OPERATIONS:
        raise InvalidRequest(f"a commit may hold {MAX_OPERATIONS:,} operations", "operations")
    for operation in checked:
        check_path(operation.path.removesuffix("/") if isinstance(operation, Delete) else operation.path)
        if isinstance(operation, Add) and not is_digest(operation.digest):
            raise InvalidRequest("the digest is not a SHA-256 in hex", "digest")
    return checked


def _check_message(message: str) -> None:
    try:
        size = len(message.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest("it is not valid Unicode", "message") from error
    if "\0" in message or size > MAX_MESSAGE_BYTES:
        raise InvalidRequest(f"it holds a NUL or is longer than {MAX_MESSAGE_BYTES:,} bytes", "message")


def _one_line(author: str) -> str:
    """Without what would end the author's line of a git commit early."""
    return "".join(character for character in author if character.isprintable() and character not in "<>")[:200]


def _check_head(known: Refs, branch: str, parent: str | None) -> None:
    if known.get("branch", branch) != parent:
        raise Stale("branch", branch, "it was changed in between; read it again and repeat the commit")


def _remove(files: dict[str, TreeEntry], path: str) -> None:
    gone = [name for name in files if name.startswith(path)] if path.endswith("/") else [path]
    if not gone or gone[0] not in files:
        raise NotFound("folder" if path.endswith("/") else "file", path)
    for name in gone:
        del files[name]
