"""POST .../commit/REVISION: one commit, or one that opens a pull request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct
from sqlalchemy import Connection

from craton.core.access import Action
from craton.core.errors import InvalidRequest, NotFound
from craton.core.repo import Add, Delete, Operation, Revision
from craton.hub import rows
from craton.hub.files import stored_files
from craton.hub.reaching import Reached
from craton.hub.refs import Refs, full_ref, parse_ref
from craton.hub.repositories import HEAD, Beside, Hub
from craton.wire.feeding import Feeder
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.commit_lines import CommitLines, Content, Header, Item, Large
from craton.wire.huggingface.links import repo_url
from craton.wire.huggingface.naming import api_patterns, author_of, hub_route, repo_of, revision_of
from craton.wire.huggingface.writing import Writing, opens_pull

MAX_BODY = 2 * 1024 * 1024 * 1024
AT_ONCE = 8  # bodies that are taken in; each may hold a few files of 10 MB


class Gone(NotFound):
    """A deletion of what is not there, in the words by which clients know it."""

    def __str__(self) -> str:
        return f"A {self.kind} with this name doesn't exist: {self.name}"


class _Read(Struct, frozen=True):
    header: Header
    operations: list[Operation]


class CommitRoutes:
    """The files of a body are stored while it arrives; only a whole one becomes a commit."""

    def __init__(self, writing: Writing, hub: Hub) -> None:
        self._writing, self._hub = writing, hub
        self._feeder = Feeder(AT_ONCE, "commits")

    def routes(self) -> list[Route]:
        return [
            hub_route("POST", pattern, "Commit", self.commit, Action.WRITE, max_body=MAX_BODY, streams=True)
            for pattern in api_patterns("/commit/{revision}", short=True)
        ]

    async def commit(self, request: Request) -> Reply:
        repo, revision = repo_of(request), revision_of(request)
        reached = await asyncio.to_thread(self._writing.reach, request, repo, revision)
        tenant = request.authenticated.tenant
        read = await self._feeder.feed(aiter(request.streamed), lambda blocks: self._read(tenant, blocks))
        if opens_pull(request):
            return await asyncio.to_thread(self._open_pull, request, reached, revision, read)
        return await asyncio.to_thread(self._commit, request, reached, revision, read)

    def _read(self, tenant: str, blocks: Iterator[bytes]) -> _Read:
        lines = CommitLines(blocks)
        return _Read(lines.header, list(self._operations(tenant, lines.items())))

    def _operations(self, tenant: str, items: Iterable[Item]) -> Iterator[Operation]:
        """In their order; contents are stored in groups."""
        waiting: deque[Large | Delete | str] = deque()

        def contents() -> Iterator[bytes]:
            for item in items:
                waiting.append(item.path if isinstance(item, Content) else item)
                if isinstance(item, Content):
                    yield item.content

        stored = self._hub.store_small(tenant, contents())
        for file in stored:
            while not isinstance(item := waiting.popleft(), str):
                yield self._operation(tenant, item)
            yield Add(item, file.digest, file.size)
        for item in waiting:
            if not isinstance(item, str):
                yield self._operation(tenant, item)

    def _operation(self, tenant: str, item: Large | Delete) -> Operation:
        if isinstance(item, Delete):
            return item
        if item.size is not None:
            return Add(item.path, item.oid, item.size, large=True)
        with self._hub.database.read() as connection:
            known = stored_files(connection, tenant, [item.oid]).get(item.oid)
        if known is None:
            raise InvalidRequest(f"the file {item.path[:200]!r} was not uploaded: its bytes are not stored", "path")
        return Add(item.path, item.oid, known.size, large=True)

    def _commit(self, request: Request, reached: Reached, branch: str, read: _Read) -> Reply:
        parent = self._parent(reached, branch, read.header)
        self._lend(request, reached, read.operations)
        try:
            made = self._write(request, reached, branch, parent, read, _unless_changed(reached))
        except _Unchanged as unchanged:
            return _reply(request, reached, unchanged.revision)
        return _reply(request, reached, made.id)

    def _open_pull(self, request: Request, reached: Reached, target: str, read: _Read) -> Reply:
        tenant, pulls, header = request.authenticated.tenant, self._writing.pulls, read.header
        if not read.operations:
            raise InvalidRequest("a commit needs at least one operation", "operations")
        self._lend(request, reached, read.operations)
        number = pulls.open(
            tenant, reached, header.summary, header.description, target, parent=header.parentCommit or ""
        )
        try:
            made = self._write(request, reached, full_ref("pr", str(number)), HEAD, read, None)
        except BaseException:
            pulls.withdraw(tenant, reached, number)
            raise
        url = f"{repo_url(request, reached.repo)}/discussions/{number}"
        return _reply(request, reached, made.id, {"pullRequestUrl": url})

    def _write(
        self, request: Request, reached: Reached, branch: str, parent: str, read: _Read, beside: Beside | None
    ) -> Revision:
        try:
            return self._hub.commit(
                reached.owner,
                reached.repo,
                branch,
                parent,
                read.operations,
                read.header.message,
                author_of(request),
                beside=beside,
            )
        except NotFound as error:
            deleted = {it.path.rstrip("/") for it in read.operations if isinstance(it, Delete)}
            if error.name.rstrip("/") in deleted:
                raise Gone("folder" if error.kind == "folder" else "file", error.name) from error
            raise

    def _parent(self, reached: Reached, branch: str, header: Header) -> str:
        """The commit to build on. Raises NotFound when there is no such branch: a commit makes main alone."""
        asked = (header.parentCommit or "").lower()
        with self._hub.database.read() as connection:
            known = Refs(connection, reached.owner, reached.id).get(*parse_ref(branch))
        if known is None and branch != "main":
            raise NotFound("revision", branch)
        return self._hub.resolve(reached.owner, reached.repo, asked) if asked else HEAD

    def _lend(self, request: Request, reached: Reached, operations: list[Operation]) -> None:
        """Gives a repository's owner what the author of a pull request brought in."""
        if not reached.own:
            added = {it.digest for it in operations if isinstance(it, Add)}
            self._writing.pulls.lend(request.authenticated.tenant, reached, added)


class _Unchanged(Exception):  # no error: it takes a commit back that would change nothing
    def __init__(self, revision: str) -> None:
        super().__init__(revision)
        self.revision = revision


def _unless_changed(reached: Reached) -> Beside:
    def check(connection: Connection, made: Revision) -> None:
        if made.parent is None:
            return
        old, new = (rows.find_revision(connection, reached.owner, reached.id, it) for it in (made.parent, made.id))
        if old.tree == new.tree:
            raise _Unchanged(made.parent)

    return check


def _reply(request: Request, reached: Reached, commit: str, more: dict[str, str] | None = None) -> Reply:
    url = f"{repo_url(request, reached.repo)}/commit/{commit}"
    found = {"success": True, "commitUrl": url, "commitOid": commit, "hookOutput": "", **(more or {})}
    return json_reply(200, found)
