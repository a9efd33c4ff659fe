"""GET and HEAD /REPO/resolve/REVISION/PATH: a file's bytes; /raw/ is the same but for large files, of which it gives
what git has: the pointer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path

from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest, NotFound
from craton.core.repo import TreeEntry
from craton.hub.admission import Admission
from craton.hub.git import pointer
from craton.hub.reaching import Reached, Reaching
from craton.hub.repositories import Hub
from craton.hub.sending import Sending
from craton.wire.file_body import FileBody, pulled
from craton.wire.http import Handler, Reply, Request, Route
from craton.wire.huggingface.errors import write_error
from craton.wire.huggingface.naming import file_patterns, hub_route, params_text, repo_of, revision_of
from craton.wire.huggingface.ranges import Unsatisfiable, asked_range, is_known
from craton.wire.huggingface.showing import shown

Linked = Callable[[Request, Reached, str, TreeEntry], Mapping[str, str]]
"""More headers of a file in a revision: how else it can be fetched."""


def nothing_else(_request: Request, _reached: Reached, _commit: str, _entry: TreeEntry) -> Mapping[str, str]:
    return {}


Coming = Callable[[Reached, str, TreeEntry, int, int], AsyncIterator[bytes] | None]
"""From start to end, the bytes of a file that are not here yet, as they come; None when they are here. Blocking."""


def all_here(_reached: Reached, _commit: str, _entry: TreeEntry, _start: int, _end: int) -> AsyncIterator[bytes] | None:
    return None


class Found(Struct, frozen=True):
    """commit: what the revision stands for. linked: headers that say how else the file can be had."""

    reached: Reached
    commit: str
    entry: TreeEntry
    linked: Mapping[str, str] = {}


class _Missing(Exception):  # carries the commit beside the error: clients remember what is not there
    def __init__(self, commit: str, error: NotFound) -> None:
        super().__init__(commit)
        self.commit, self.error = commit, error


class ResolveRoutes:
    """count: is told of every file that is fetched."""

    def __init__(
        self,
        reaching: Reaching,
        admission: Admission,
        hub: Hub,
        sending: Sending,
        count: Callable[[Reached], None],
        linked: Linked = nothing_else,
        coming: Coming = all_here,
    ) -> None:
        self._reaching, self._admission, self._hub = reaching, admission, hub
        self._sending, self._count, self._linked = sending, count, linked
        self._coming = coming

    def routes(self) -> list[Route]:
        return [
            hub_route(method, pattern, operation, handler, Action.READ)
            for name, operation, handler in self._kinds()
            for pattern in file_patterns(f"/{name}/{{revision}}/{{path+}}", short=name == "resolve")
            for method in ("GET", "HEAD")
        ]

    def _kinds(self) -> list[tuple[str, str, Handler]]:
        return [("resolve", "ResolveFile", self.resolve), ("raw", "RawFile", self.raw)]

    async def resolve(self, request: Request) -> Reply:
        return await self._answer(request, raw=False)

    async def raw(self, request: Request) -> Reply:
        return await self._answer(request, raw=True)

    async def _answer(self, request: Request, *, raw: bool) -> Reply:
        try:
            found = await asyncio.to_thread(self._find, request)
        except _Missing as missing:
            reply = write_error(missing.error, request)
            reply.headers["x-repo-commit"] = missing.commit
            return reply
        content = pointer(found.entry.digest, found.entry.size) if raw and found.entry.large else None
        headers = _described(found, content)
        if content is None:
            headers |= found.linked
        if is_known(request.headers, headers["etag"]):
            return Reply(304, b"", {name: headers[name] for name in ("etag", "x-repo-commit")})
        return await self._send(request, found, content, headers)

    def _find(self, request: Request) -> Found:
        tenant, path = request.authenticated.tenant, params_text(request, "path")
        reached = self._reaching.reach(tenant, repo_of(request))
        self._admission.check(tenant, reached)
        commit = self._hub.resolve(reached.owner, reached.repo, revision_of(request))
        try:
            entry = self._hub.entry(reached.owner, reached.repo, commit, path)
        except (NotFound, InvalidRequest) as error:
            missing = error if isinstance(error, NotFound) else NotFound("file", path[:300])
            raise _Missing(commit, missing) from error
        return Found(reached, commit, entry, self._linked(request, reached, commit, entry))

    async def _send(self, request: Request, found: Found, content: bytes | None, headers: dict[str, str]) -> Reply:
        size = found.entry.size if content is None else len(content)
        try:
            part = asked_range(request.headers, size, headers["etag"])
        except Unsatisfiable as error:
            reply = write_error(error, request)
            return Reply(416, reply.body, reply.headers | {"content-range": f"bytes */{size}"})
        start, end = part or (0, size)
        status = 206 if part else 200
        if part:
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        if request.method == "HEAD" or not size:
            headers["content-length"] = str(end - start)
            return Reply(status, pulled(iter(())), headers)
        if not start:
            self._count(found.reached)
        if content is not None:
            return Reply(status, content[start:end], headers)
        headers["content-length"] = str(end - start)
        coming = await asyncio.to_thread(self._coming, found.reached, found.commit, found.entry, start, end)
        if coming is not None:
            return Reply(status, coming, headers)
        body = await asyncio.to_thread(self._open, found.entry, start, end)
        return Reply(status, body if isinstance(body, FileBody) else pulled(body), headers)

    def _open(self, entry: TreeEntry, start: int, end: int) -> FileBody | Iterator[bytes]:
        opened = self._sending.open(entry.digest, entry.size, start, end)
        if not isinstance(opened, Path):
            return opened
        return FileBody(FileIO(opened), start, end - start)


def _described(found: Found, content: bytes | None) -> dict[str, str]:
    """content: what is sent instead of the file."""
    entry = found.entry
    headers = {
        "x-repo-commit": found.commit,
        "etag": f'"{entry.digest if entry.large and content is None else entry.git_oid}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        **shown(entry.path),
    }
    if entry.large and content is None:
        headers |= {"x-linked-etag": headers["etag"], "x-linked-size": str(entry.size)}
    return headers
