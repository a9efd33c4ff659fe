"""Branches, tags and the other names of revisions."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.hub.reaching import Reaching
from craton.hub.refs import Ref, RefKind
from craton.hub.repositories import Hub
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import api_patterns, author_of, hub_route, params_text, repo_of, revision_of
from craton.wire.huggingface.query import Query

DEFAULT_BRANCH = "main"
MAX_BODY = 256 * 1024


class NewBranch(Struct, frozen=True):
    """startingPoint: a revision; the newest of main by default."""

    startingPoint: str | None = None
    overwrite: bool = False
    emptyBranch: bool = False


class NewTag(Struct, frozen=True):
    tag: str
    message: str | None = None


class Squash(Struct, frozen=True):
    message: str = ""


_BRANCHES = msgspec.json.Decoder(NewBranch)
_TAGS = msgspec.json.Decoder(NewTag)
_SQUASHES = msgspec.json.Decoder(Squash)


class RefRoutes:
    """A branch that exists is a 409, which clients take for done when they were told so (`exist_ok`)."""

    def __init__(self, reaching: Reaching, hub: Hub) -> None:
        self._reaching, self._hub = reaching, hub

    def routes(self) -> list[Route]:
        table = [
            ("GET", pattern, "ListRepoRefs", self._list, Action.READ) for pattern in api_patterns("/refs", short=True)
        ]
        for method, rest, operation, handler in (
            ("POST", "/branch/{revision}", "CreateBranch", self._create_branch),
            ("DELETE", "/branch/{revision}", "DeleteBranch", self._delete_branch),
            ("POST", "/tag/{revision}", "CreateTag", self._create_tag),
            ("DELETE", "/tag/{revision}", "DeleteTag", self._delete_tag),
            ("POST", "/super-squash/{revision}", "SuperSquashHistory", self._squash),
        ):
            table.extend((method, pattern, operation, handler, Action.WRITE) for pattern in api_patterns(rest))
        return [
            hub_route(method, pattern, operation, handler, action, max_body=MAX_BODY)
            for method, pattern, operation, handler, action in table
        ]

    async def _list(self, request: Request) -> Reply:
        def read() -> list[Ref]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            return self._hub.refs(reached.owner, reached.repo)

        refs = await asyncio.to_thread(read)
        listed = {
            "branches": _of_kind(refs, "branch"),
            "converts": _of_kind(refs, "convert"),
            "tags": _of_kind(refs, "tag"),
        }
        query = Query.of(request)
        if query.flag("include_prs") or query.flag("include_pull_requests"):
            listed["pullRequests"] = _of_kind(refs, "pr")
        return json_reply(200, listed)

    async def _create_branch(self, request: Request) -> Reply:
        new = read_body(_BRANCHES, request.body or b"{}", {})
        if new.emptyBranch or new.overwrite:
            raise InvalidRequest("branches begin at a revision and are not overwritten here", "emptyBranch")
        await self._create(request, "branch", params_text(request, "revision"), new.startingPoint or DEFAULT_BRANCH)
        return json_reply(200, {})

    async def _create_tag(self, request: Request) -> Reply:
        new = read_body(_TAGS, request.body, {})
        await self._create(request, "tag", new.tag, revision_of(request))
        return json_reply(200, {})

    async def _create(self, request: Request, kind: RefKind, name: str, revision: str) -> None:
        def write() -> None:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            self._hub.create_ref(reached.owner, reached.repo, kind, name, revision)

        await asyncio.to_thread(write)

    async def _delete_branch(self, request: Request) -> Reply:
        return await self._delete(request, "branch", params_text(request, "revision"))

    async def _delete_tag(self, request: Request) -> Reply:
        return await self._delete(request, "tag", params_text(request, "revision"))

    async def _delete(self, request: Request, kind: RefKind, name: str) -> Reply:
        def write() -> None:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            if (kind, name) == ("branch", DEFAULT_BRANCH):
                raise InvalidRequest("Cannot delete refs/heads/main: every repository has it")
            self._hub.delete_ref(reached.owner, reached.repo, kind, name)

        await asyncio.to_thread(write)
        return json_reply(200, {})

    async def _squash(self, request: Request) -> Reply:
        asked = read_body(_SQUASHES, request.body or b"{}", {})

        def write() -> str:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            branch = revision_of(request)
            message = asked.message or f"Super-squash branch '{branch}'"
            return self._hub.squash(reached.owner, reached.repo, branch, message, author_of(request)).id

        return json_reply(200, {"commitOid": await asyncio.to_thread(write)})


def _of_kind(refs: list[Ref], kind: RefKind) -> list[dict[str, str]]:
    return [{"name": ref.name, "ref": ref.full, "targetCommit": ref.revision} for ref in refs if ref.kind == kind]
