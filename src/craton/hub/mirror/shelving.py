"""Mirrored repositories as rows: real ones, under the ids that upstream gave their commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from craton.core.errors import Conflict, NotFound
from craton.core.repo import RepoId, RepoKind, Revision, TreeEntry
from craton.hub import rows
from craton.hub.changes import Created, Listener, Place, RefChange, Updated
from craton.hub.editing import Editor
from craton.hub.files import StoredFile, stored_files
from craton.hub.mirror.tables import learned
from craton.hub.mirror.words import Seen, Upstream
from craton.hub.names import is_commit_id, is_repo, is_short_id
from craton.hub.reaching import MIRRORED
from craton.hub.refs import Ref, Refs, full_ref, is_name, parse_ref
from craton.hub.repositories import Hub
from craton.hub.tables import moved, repositories
from craton.store.database import Database

_BATCH = 500  # values in one SQL statement


class Shelving:
    """Blocking, safe in threads. Every method takes the owner: one that `words.Upstream.owner` names."""

    def __init__(self, database: Database, clock: Callable[[], float], listeners: Sequence[Listener] = ()) -> None:
        self._database, self._clock, self._listeners = database, clock, listeners

    def open(self, upstreams: Iterable[Upstream]) -> None:
        """What everybody may use is shared, as the configuration says now; all other mirrored ones are not."""
        shared = {upstream.owner(False) for upstream in upstreams if not upstream.tenants}
        table = repositories.c
        with self._database.write() as connection:
            mirrored = table.tenant.startswith(MIRRORED, autoescape=True)
            change = update(repositories)
            connection.execute(change.where(mirrored, table.tenant.not_in(shared)).values(private=True))
            connection.execute(change.where(table.tenant.in_(shared)).values(private=False))

    def commit_of(self, owner: str, repo: RepoId, revision: str) -> str | None:
        """The commit that is here under this name, or None."""
        with self._database.read() as connection:
            try:
                repository = rows.find(connection, owner, repo).id
                found = rows.resolve(connection, owner, repository, revision)
                return str(rows.find_revision(connection, owner, repository, found).id)
            except NotFound:
                return None

    def called(self, owner: str, kind: RepoKind, path: str) -> RepoId | None:
        """The repository that upstream leads to by this older name; path: namespace/name, or a name alone."""
        namespace, _, name = path.rpartition("/")
        table, old = repositories.c, moved.c
        same = (old.tenant == table.tenant) & (old.repository == table.id)
        named = (old.tenant == owner) & (old.kind == kind) & (old.namespace == namespace) & (old.name == name)
        with self._database.read() as connection:
            query = select(table.namespace, table.name).join(moved, same).where(named)
            row = connection.execute(query).one_or_none()
        return None if row is None else RepoId(kind, row.namespace, row.name)

    def learned(self, owner: str, oids: Iterable[str]) -> dict[str, StoredFile]:
        """git's id -> the file, of those that were here before."""
        wanted, found, table = list(oids), {}, learned.c
        with self._database.read() as connection:
            for start in range(0, len(wanted), _BATCH):
                query = select(table.digest, table.size, table.git_oid).where(
                    table.tenant == owner, table.git_oid.in_(wanted[start : start + _BATCH])
                )
                found.update({row.git_oid: StoredFile(*row) for row in connection.execute(query)})
        return found

    def learn(self, owner: str, file: StoredFile) -> None:
        """Notes a small file that was fetched."""
        try:
            with self._database.write() as connection:
                mine = (learned.c.tenant == owner) & (learned.c.git_oid == file.git_oid)
                if connection.scalar(select(learned.c.digest).where(mine)) is None:
                    row = {"tenant": owner, "git_oid": file.git_oid, "digest": file.digest, "size": file.size}
                    connection.execute(insert(learned).values(row))
        except IntegrityError:
            pass  # another process learned it in between

    def holds(self, owner: str, digest: str) -> bool:
        """Whether the file was fetched for this owner."""
        with self._database.read() as connection:
            return digest in stored_files(connection, owner, [digest])

    def put(self, owner: str, seen: Seen, entries: Iterable[TreeEntry], source: str, *, shared: bool) -> None:
        """The commit with all its files, their bytes here or not. Doing it again is harmless."""
        editor = Editor(None, lambda digests: {})
        for entry in entries:
            editor.put(entry)
        tree = editor.tree()
        created = seen.modified or self._clock()
        revision = Revision(seen.commit, None, f"{seen.repo.path} as {source} has it", source, created)
        with self._database.write() as connection:
            place = self._place(connection, owner, seen.repo, created, shared=shared)
            rows.insert_objects(connection, owner, place.id, tree.objects)
            rows.insert_revision(connection, owner, place.id, tree.root, revision)

    def point(self, owner: str, kind: RepoKind, asked: str, revision: str, seen: Seen) -> None:
        """Notes what upstream answered: where the name it was asked for leads, and where the ref points."""
        with self._database.write() as connection:
            row = rows.find(connection, owner, seen.repo, lock=True)
            if asked != seen.repo.path:
                _lead(connection, owner, kind, asked, row.id)
            kind_of_ref, name = parse_ref(revision)
            shortened = is_short_id(revision) and seen.commit.startswith(revision)
            if is_commit_id(revision) or shortened or not is_name(kind_of_ref, name):
                return
            known = Refs(connection, owner, row.id)
            old = known.get(kind_of_ref, name)
            if old == seen.commit:
                return
            if old is None:
                known.create(kind_of_ref, name, seen.commit)
            else:
                known.move(kind_of_ref, name, seen.commit)
            rows.touch(connection, owner, row.id, seen.modified or self._clock())
            change = RefChange(full_ref(kind_of_ref, name), old, seen.commit)
            self._tell(connection, Updated(Place(owner, row.id, seen.repo, row.private), (change,)))

    def note_refs(self, owner: str, repo: RepoId, told: Sequence[Ref]) -> None:
        """Those of upstream's refs that are new; their commits come when they are asked for. One that has moved there
        moves here with its commit, one that is gone there stays."""
        with self._database.write() as connection:
            row = rows.find(connection, owner, repo, lock=True)
            known = Refs(connection, owner, row.id)
            here = {(ref.kind, ref.name): ref.revision for ref in known.all()}
            branches = {ref.name for ref in told if ref.kind == "branch"}
            for ref in told:
                if ref.kind == "tag" and ref.name not in branches and ("branch", ref.name) in here:
                    known.delete("branch", ref.name)  # what it was taken for before this was told
                if (ref.kind, ref.name) not in here:
                    known.create(ref.kind, ref.name, ref.revision)

    def check_free(self, owner: str, repo: RepoId, source: str) -> None:
        """Raises Conflict when the owner has a repository of that name with commits that did not come from there."""
        with suppress(NotFound), self._database.read() as connection:
            repository = rows.find(connection, owner, repo).id
            head = rows.resolve(connection, owner, repository, "main")
            newest = rows.ancestors(connection, owner, repository, head, 0, 1)[0]
            if newest.author != source:
                raise Conflict(f"{repo.kind} repository", repo.path, "it exists already, with commits of its own")

    def withdraw(self, hub: Hub, owner: str, repo: RepoId) -> None:
        """Upstream has closed it: what everybody could read goes."""
        with suppress(NotFound):
            hub.get(owner, repo)
            hub.delete(owner, repo)

    def _place(self, connection: Connection, owner: str, repo: RepoId, created: float, *, shared: bool) -> Place:
        try:
            row = rows.find(connection, owner, repo, lock=True)
            return Place(owner, row.id, repo, row.private)
        except NotFound:
            place = Place(owner, secrets.token_hex(8), repo, not shared)
        connection.execute(
            insert(repositories).values(
                tenant=owner,
                id=place.id,
                kind=repo.kind,
                namespace=repo.namespace,
                name=repo.name,
                created=created,
                modified=created,
                private=place.private,
            )
        )
        self._tell(connection, Created(place))
        return place

    def _tell(self, connection: Connection, change: Created | Updated) -> None:
        for listener in self._listeners:
            listener(connection, change)


def _lead(connection: Connection, owner: str, kind: RepoKind, path: str, repository: str) -> None:
    namespace, _, name = path.rpartition("/")
    if not is_repo(RepoId(kind, namespace or "x", name)):
        return
    old = moved.c
    mine = (old.tenant == owner) & (old.kind == kind) & (old.namespace == namespace) & (old.name == name)
    connection.execute(delete(moved).where(mine))
    connection.execute(
        insert(moved).values(tenant=owner, kind=kind, namespace=namespace, name=name, repository=repository)
    )
