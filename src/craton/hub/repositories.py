"""Repositories: the one writer of commits, and everything that reads them.

Another tenant's repository and one that does not exist are the same NotFound; whoever may read what another tenant
shares has found its owner through `reaching` and calls as that owner.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from craton.core.errors import Conflict, InvalidRequest, NotFound, Stale
from craton.core.repo import Add, Gating, Operation, RepoId, Revision
from craton.hub import rows, trees
from craton.hub.changes import Change, Configured, Created, Deleted, Listener, Moved, Place, RefChange, Updated
from craton.hub.committing import Applying, Outcome, check_message, checked, one_line
from craton.hub.files import StoredFile, claim_files, note_files, store_file, store_small, stored_files
from craton.hub.git import commit_id
from craton.hub.names import check_repo
from craton.hub.purging import purge
from craton.hub.reaching import Reached
from craton.hub.reading import HubReader, Repository
from craton.hub.refs import Ref, RefKind, Refs, check_name, full_ref, parse_ref
from craton.hub.tables import cards, downloads, fold, models, moved, objects, refs, repositories, revisions, tags
from craton.hub.trees import Tree
from craton.store.blobs import Blobs
from craton.store.database import Database

HEAD = "HEAD"
"""As a commit's parent: whatever the branch points at when the commit is made."""
ATTEMPTS = 8  # at a commit to HEAD that others overtake

Beside = Callable[[Connection, Revision], None]
"""Something done in a commit's transaction; what it raises undoes the commit."""


class Hub(HubReader):
    """Every method takes the tenant first and sees nothing of any other. Safe to use from several threads.

    listeners: hear of every change, inside its transaction.
    """

    def __init__(
        self, database: Database, blobs: Blobs, clock: Callable[[], float], listeners: Sequence[Listener] = ()
    ) -> None:
        super().__init__(database)
        self.blobs, self._clock = blobs, clock
        self.listeners = tuple(listeners)

    # --- repositories ---------------------------------------------------------------------------------------

    def create(
        self, tenant: str, repo: RepoId, *, private: bool = True, first: Sequence[Add] = (), author: str = ""
    ) -> Repository:
        """A new repository: empty, or with a first commit of these files. Raises Conflict when it exists."""
        operations = checked(first) if first else []

        def files(connection: Connection, repository: str) -> Outcome | None:
            if not operations:
                return None
            return Applying(connection, tenant, repository, self.blobs, {}).apply(None, operations)

        return self._create(tenant, repo, private, files, "initial commit", author)

    def duplicate(self, source: Reached, tenant: str, to: RepoId, *, private: bool, author: str) -> Repository:
        """A new repository with the files of the source's main branch. Whoever calls has asked who may read those."""

        def files(connection: Connection, _repository: str) -> Outcome:
            head = rows.resolve(connection, source.owner, source.id, "main")
            root = rows.find_revision(connection, source.owner, source.id, head).tree
            fetch = rows.fetcher(connection, source.owner, source.id)
            tree = Tree(root, trees.folder_oid(root, fetch), trees.reachable(root, fetch))
            if source.owner == tenant:
                return Outcome(tree, {})
            digests = {entry.digest for entry in trees.load(root, fetch).values()}
            return Outcome(tree, stored_files(connection, source.owner, digests))

        return self._create(tenant, to, private, files, f"Duplicate of {source.repo.path}", author)

    def _create(
        self,
        tenant: str,
        repo: RepoId,
        private: bool,
        files: Callable[[Connection, str], Outcome | None],
        message: str,
        author: str,
    ) -> Repository:
        """files: what the first commit holds, None for none; it is given the new row's id."""
        check_repo(repo)
        created, found = self._clock(), secrets.token_hex(8)
        place = Place(tenant, found, repo, private)
        try:
            with self.database.write() as connection:
                _check_free(connection, tenant, repo)
                connection.execute(
                    insert(repositories).values(
                        tenant=tenant,
                        id=found,
                        kind=repo.kind,
                        namespace=repo.namespace,
                        name=repo.name,
                        created=created,
                        modified=created,
                        private=private,
                    )
                )
                connection.execute(delete(moved).where(_by_name(moved, tenant, repo)))
                self._tell(connection, Created(place))
                first = files(connection, found)
                if first is not None:
                    note_files(connection, tenant, first.brought.values())
                    revision = _revision(first.tree.oid, None, message, one_line(author), created)
                    self._write(connection, place, first.tree, revision, ("branch", "main"), None)
        except IntegrityError as error:
            raise Conflict(f"{repo.kind} repository", repo.path, "it exists already") from error
        return Repository(repo, created, found, created, private)

    def configure(self, tenant: str, repo: RepoId, *, private: bool | None = None, gated: Gating | None = None) -> None:
        """Who else may see the repository, and who may read its files."""
        asked: dict[str, Any] = {"private": private, "gated": gated}
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            new = {name: value for name, value in asked.items() if value not in {None, getattr(row, name)}}
            if new:
                connection.execute(update(repositories).where(_by_id(repositories, tenant, row.id)).values(**new))
                place = Place(tenant, row.id, repo, row.private if private is None else private)
                self._tell(connection, Configured(place, **new))

    def move(self, tenant: str, repo: RepoId, to: RepoId) -> None:
        """Another name, under which it is found from now on; the old one leads there until somebody takes it.

        Raises Conflict when the new name is taken.
        """
        check_repo(to)
        if to.kind != repo.kind:
            raise InvalidRequest("a repository keeps its type", "type")
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            _check_free(connection, tenant, to, row.id)
            new = {"namespace": to.namespace, "name": to.name, "folded": fold(to.namespace, to.name)}
            connection.execute(update(repositories).where(_by_id(repositories, tenant, row.id)).values(**new))
            for name in (repo, to):
                connection.execute(delete(moved).where(_by_name(moved, tenant, name)))
            connection.execute(
                insert(moved).values(
                    tenant=tenant, kind=repo.kind, namespace=repo.namespace, name=repo.name, repository=row.id
                )
            )
            self._tell(connection, Moved(Place(tenant, row.id, repo, row.private), to))

    def delete(self, tenant: str, repo: RepoId) -> None:
        """The repository and its history. Blobs stay until they are collected."""
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            self._tell(connection, Deleted(Place(tenant, row.id, repo, row.private)))
            for table in (models, cards, tags, downloads, moved, refs, revisions, objects):
                mine = (table.c.tenant == tenant) & (table.c.repository == row.id)
                connection.execute(delete(table).where(mine))
            connection.execute(delete(repositories).where(_by_id(repositories, tenant, row.id)))

    # --- writing --------------------------------------------------------------------------------------------

    def store(
        self, tenant: str, chunks: Iterable[bytes], size: int, expected: str | None = None, *, large: bool = False
    ) -> StoredFile:
        """Brings in a file of exactly `size` bytes, so that a commit may name it. Raises Damaged.

        large: a commit will name a pointer to it, as Git LFS does."""
        return store_file(self.database, self.blobs, tenant, chunks, size, expected, large=large)

    def store_small(self, tenant: str, contents: Iterable[bytes]) -> Iterator[StoredFile]:
        """Brings in many files that fit into memory, in their order: several wait for the disk at once."""
        return store_small(self.database, self.blobs, tenant, contents)

    def give(self, source: Reached, tenant: str, digests: Iterable[str]) -> list[str]:
        """Lets the tenant commit files of the source's main branch; those that are not there. Whoever calls has asked
        who may read them."""
        with self.database.write() as connection:
            head = rows.resolve(connection, source.owner, source.id, "main")
            entries = rows.load_tree(connection, source.owner, source.id, head).values()
            known = stored_files(connection, source.owner, {it.digest for it in entries}.intersection(digests))
            note_files(connection, tenant, known.values())
        return sorted(set(digests) - known.keys())

    def commit(
        self,
        tenant: str,
        repo: RepoId,
        branch: str,
        parent: str | None,
        operations: Iterable[Operation],
        message: str,
        author: str,
        *,
        base: str | None = None,
        sources: Mapping[RepoId, Reached] | None = None,
        beside: Beside | None = None,
    ) -> Revision:
        """Applies the operations, in their order, to `parent` and moves the branch there, in one transaction.

        branch: a branch's name, or any ref but a tag in full ("refs/pr/3").
        parent: the revision that the branch points at; None when there is no such branch yet (it starts empty, or at
        the revision `base`); HEAD for whatever it points at when the commit is made.
        sources: the other repositories that a Copy may name; the caller of this has asked who may read them.
        beside: what is to be so exactly when the commit is (a pull request that is merged).
        Raises Stale when the branch points elsewhere by now, InvalidRequest for bad paths or files that were not
        stored, NotFound for what a Copy or Delete names and is not there.
        """
        kind, name = parse_ref(branch)
        check_name(kind, name)
        if kind == "tag":
            raise InvalidRequest("a tag cannot be committed to", "revision")
        operations = checked(operations)
        check_message(message)
        author = one_line(author)
        for attempt in range(1, ATTEMPTS + 1):
            with self.database.read() as connection:
                repository = rows.find(connection, tenant, repo).id
                head = Refs(connection, tenant, repository).get(kind, name)
                _check_head(head, parent, branch)
                start = base if head is None else head
                if start is not None and head is None:
                    start = rows.resolve(connection, tenant, repository, start)
                change = Applying(connection, tenant, repository, self.blobs, sources or {}).apply(start, operations)
            revision = _revision(change.tree.oid, start, message, author, self._clock())
            with self.database.write() as connection:
                row = rows.find(connection, tenant, repo, lock=True)
                now = Refs(connection, tenant, row.id).get(kind, name)
                if (row.id, now) == (repository, head):
                    note_files(connection, tenant, change.brought.values())
                    claim_files(connection, tenant, (it.digest for it in operations if isinstance(it, Add)))
                    place = Place(tenant, row.id, repo, row.private)
                    self._write(connection, place, change.tree, revision, (kind, name), head)
                    if beside is not None:
                        beside(connection, revision)
                    return revision
            if parent != HEAD or attempt == ATTEMPTS:
                break
        raise _stale(branch)

    def squash(self, tenant: str, repo: RepoId, branch: str, message: str, author: str) -> Revision:
        """Makes one commit without a parent of all that the branch holds. Other refs keep their history."""
        kind, name = parse_ref(branch)
        check_message(message)
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            head = Refs(connection, tenant, row.id).get(kind, name)
            if head is None or kind == "tag":
                raise NotFound("branch", branch)
            root = rows.find_revision(connection, tenant, row.id, head).tree
            oid = trees.folder_oid(root, rows.fetcher(connection, tenant, row.id))
            revision = _revision(oid, None, message, one_line(author), self._clock())
            self._write(
                connection, Place(tenant, row.id, repo, row.private), Tree(root, oid, {}), revision, (kind, name), head
            )
        return revision

    def purge(self, tenant: str, repo: RepoId, digests: Iterable[str]) -> None:
        """Removes large files from the whole history, which is written anew. Blobs stay until they are collected."""
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            before = {(ref.kind, ref.name): ref.revision for ref in Refs(connection, tenant, row.id).all()}
            purge(connection, tenant, row.id, frozenset(digests))
            now = Refs(connection, tenant, row.id).all()
            changes = [
                RefChange(ref.full, before[ref.kind, ref.name], ref.revision)
                for ref in now
                if before[ref.kind, ref.name] != ref.revision
            ]
            if changes:
                rows.touch(connection, tenant, row.id, self._clock())
                self._tell(connection, Updated(Place(tenant, row.id, repo, row.private), tuple(changes)))

    def _write(
        self,
        connection: Connection,
        place: Place,
        tree: Tree,
        revision: Revision,
        ref: tuple[RefKind, str],
        head: str | None,
    ) -> None:
        """The commit's rows, and the ref that points at `head` moved there."""
        rows.insert_objects(connection, place.owner, place.id, tree.objects)
        rows.insert_revision(connection, place.owner, place.id, tree.root, revision)
        known = Refs(connection, place.owner, place.id)
        if head is None:
            known.create(*ref, revision.id)
        else:
            known.move(*ref, revision.id)
        rows.touch(connection, place.owner, place.id, revision.created)
        moved_to = RefChange(full_ref(*ref), head, revision.id, revision.author, revision.message)
        self._tell(connection, Updated(place, (moved_to,)))

    def _tell(self, connection: Connection, change: Change) -> None:
        for listener in self.listeners:
            listener(connection, change)

    # --- refs -----------------------------------------------------------------------------------------------

    def create_ref(self, tenant: str, repo: RepoId, kind: RefKind, name: str, revision: str) -> Ref:
        """A branch, tag or another ref at `revision` (a name or an id). Raises Conflict when it exists."""
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            found = rows.resolve(connection, tenant, row.id, revision)
            Refs(connection, tenant, row.id).create(kind, name, found)
            change = RefChange(full_ref(kind, name), None, found)
            self._tell(connection, Updated(Place(tenant, row.id, repo, row.private), (change,)))
        return Ref(kind, name, found)

    def delete_ref(self, tenant: str, repo: RepoId, kind: RefKind, name: str) -> None:
        with self.database.write() as connection:
            row = rows.find(connection, tenant, repo, lock=True)
            known = Refs(connection, tenant, row.id)
            old = known.get(kind, name)
            known.delete(kind, name)
            change = RefChange(full_ref(kind, name), old, None)
            self._tell(connection, Updated(Place(tenant, row.id, repo, row.private), (change,)))


def _check_free(connection: Connection, tenant: str, repo: RepoId, but: str = "") -> None:
    """Raises Conflict when the tenant has a repository of that name, whatever the case of its letters.

    but: the row that may have it."""
    table = repositories.c
    alike = and_(table.tenant == tenant, table.kind == repo.kind, table.folded == fold(repo.namespace, repo.name))
    if connection.scalar(select(table.id).where(alike, table.id != but)) is not None:
        raise Conflict(f"{repo.kind} repository", repo.path, "it exists already")


def _by_name(table: Table, tenant: str, repo: RepoId) -> ColumnElement[bool]:
    named = table.c
    return and_(
        named.tenant == tenant, named.kind == repo.kind, named.namespace == repo.namespace, named.name == repo.name
    )


def _by_id(table: Table, tenant: str, found: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.id == found)


def _revision(tree: str, parent: str | None, message: str, author: str, created: float) -> Revision:
    return Revision(commit_id(tree, parent, author, int(created), message), parent, message, author, created)


def _check_head(head: str | None, parent: str | None, branch: str) -> None:
    if parent not in {head, HEAD}:
        raise _stale(branch)


def _stale(branch: str) -> Stale:
    return Stale("branch", branch, "it was changed in between; read it again and repeat the commit")
