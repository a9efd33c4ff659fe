"""Discussions and pull requests on the wire. /api/{models|datasets|spaces}/{namespace}/{name}/discussions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest, NotFound
from craton.hub.collaboration.discussions import Discussions
from craton.hub.collaboration.pulls import PullChanges, PullRequests
from craton.hub.collaboration.words import Discussion, Event, Filter, Status
from craton.hub.reaching import Reached, Reaching
from craton.wire.body import read_body
from craton.wire.http import Handler, Reply, Request, Route, json_reply
from craton.wire.huggingface.links import repo_url
from craton.wire.huggingface.naming import api_patterns, author_of, hub_route, repo_of
from craton.wire.huggingface.people import write_person
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import write_time
from craton.wire.huggingface.write_event import write_event

BRANCH = "main"  # that a pull request opened without a commit is for


class NewDiscussion(Struct, frozen=True, rename="camel"):
    title: str
    description: str = ""
    pull_request: bool = False


class NewComment(Struct, frozen=True):
    comment: str


class NewContent(Struct, frozen=True):
    content: str


class NewTitle(Struct, frozen=True):
    title: str


class NewStatus(Struct, frozen=True):
    status: Status
    comment: str = ""


class Merge(Struct, frozen=True):
    comment: str = ""


_NEW = msgspec.json.Decoder(NewDiscussion)
_COMMENT = msgspec.json.Decoder(NewComment)
_CONTENT = msgspec.json.Decoder(NewContent)
_TITLE = msgspec.json.Decoder(NewTitle)
_STATUS = msgspec.json.Decoder(NewStatus)
_MERGE = msgspec.json.Decoder(Merge)


class DiscussionRoutes:
    def __init__(self, reaching: Reaching, discussions: Discussions, pulls: PullRequests) -> None:
        self._reaching, self._discussions, self._pulls = reaching, discussions, pulls

    def routes(self) -> list[Route]:
        return [*self._routes()]

    def _routes(self) -> Iterator[Route]:
        def both(method: str, rest: str, operation: str, handler: Handler, action: Action) -> Iterator[Route]:
            for pattern in api_patterns(f"/discussions{rest}"):
                yield hub_route(method, pattern, operation, handler, action)

        one, read, write = "/{number}", Action.READ, Action.WRITE
        comment = f"{one}/comment/{{comment}}"
        yield from both("GET", "", "ListDiscussions", self._list, read)
        yield from both("POST", "", "CreateDiscussion", self._create, write)
        yield from both("GET", one, "GetDiscussion", self._get, read)
        yield from both("POST", f"{one}/comment", "CommentDiscussion", self._comment, write)
        yield from both("POST", f"{comment}/edit", "EditDiscussionComment", self._edit, write)
        yield from both("POST", f"{comment}/hide", "HideDiscussionComment", self._hide, write)
        yield from both("POST", f"{one}/title", "RenameDiscussion", self._rename, write)
        yield from both("POST", f"{one}/status", "ChangeDiscussionStatus", self._change_status, write)
        yield from both("POST", f"{one}/merge", "MergePullRequest", self._merge, write)

    async def _list(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        asked, page = _filter(request)
        found = await asyncio.to_thread(self._discussions.list, who, reached, asked, page)
        shown = [write_discussion(it, reached) for it in found.discussions]
        return json_reply(200, {"discussions": shown, "count": found.total, "start": found.start})

    async def _create(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        new = read_body(_NEW, request.body, {})
        if new.pull_request:
            number = await asyncio.to_thread(self._open_draft, who, reached, new)
        else:
            number = (await asyncio.to_thread(self._discussions.open, who, reached, new.title, new.description)).number
        return json_reply(
            200,
            {
                "num": number,
                "pullRequest": new.pull_request,
                "url": f"{repo_url(request, reached.repo)}/discussions/{number}",
            },
        )

    def _open_draft(self, who: str, reached: Reached, new: NewDiscussion) -> int:
        return self._pulls.open(who, reached, new.title, new.description, BRANCH, draft=True)

    async def _get(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        number = _number(request)
        patch = Query.of(request).flag("diff")
        found, events = await asyncio.to_thread(self._discussions.get, who, reached, number)
        changes = None
        if found.pull is not None:
            changes = await asyncio.to_thread(self._pulls.changes, who, reached, number, patch=patch)
        return json_reply(200, _details(found, events, changes, reached, patch))

    async def _comment(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        text = read_body(_COMMENT, request.body, {}).comment
        event = await asyncio.to_thread(self._discussions.comment, who, reached, _number(request), text)
        return json_reply(200, {"newMessage": write_event(event)})

    async def _edit(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        text, comment = read_body(_CONTENT, request.body, {}).content, request.params["comment"]
        event = await asyncio.to_thread(self._discussions.edit, who, reached, _number(request), comment, text)
        return json_reply(200, {"updatedComment": write_event(event)})

    async def _hide(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        comment = request.params["comment"]
        event = await asyncio.to_thread(self._discussions.hide, who, reached, _number(request), comment)
        return json_reply(200, {"updatedComment": write_event(event)})

    async def _rename(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        title = read_body(_TITLE, request.body, {}).title
        event = await asyncio.to_thread(self._discussions.rename, who, reached, _number(request), title)
        return json_reply(200, {"newTitle": write_event(event)})

    async def _change_status(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        new, number = read_body(_STATUS, request.body, {}), _number(request)
        event = await asyncio.to_thread(self._discussions.change_status, who, reached, number, new.status, new.comment)
        return json_reply(200, {"newStatus": write_event(event)})

    async def _merge(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        said = read_body(_MERGE, request.body, {}) if request.body.strip() not in (b"", b"null") else Merge()
        event = await asyncio.to_thread(
            self._pulls.merge, who, reached, _number(request), said.comment, author_of(request)
        )
        return json_reply(200, {"newStatus": write_event(event)})

    async def _reach(self, request: Request) -> tuple[str, Reached]:
        """Who asks, and about which repository. Whoever sees it may discuss it."""
        who = request.authenticated.tenant
        return who, await asyncio.to_thread(self._reaching.reach, who, repo_of(request))


def write_discussion(found: Discussion, reached: Reached) -> dict[str, Any]:
    return {
        "num": found.number,
        "title": found.title,
        "status": found.status,
        "author": write_person(found.author),
        "createdAt": write_time(found.created),
        "isPullRequest": found.pull is not None,
        "numComments": found.comments,
        "pinned": False,
        "locked": False,
        "repo": {"name": reached.repo.path, "type": reached.repo.kind},
        "repoOwner": {"name": reached.owner, "type": "user"},
    }


def _details(
    found: Discussion, events: list[Event], changes: PullChanges | None, reached: Reached, patch: bool
) -> dict[str, Any]:
    body = {**write_discussion(found, reached), "events": [write_event(event) for event in events]}
    if found.pull is None or changes is None:
        return body
    body["changes"] = {"base": f"refs/heads/{found.pull.target}"}
    if found.pull.merged is not None:
        body["changes"]["mergeCommitId"] = found.pull.merged
    body["filesWithConflicts"] = changes.conflicts
    if patch:
        body["diff"] = changes.patch
    return body


def _number(request: Request) -> int:
    text = request.params["number"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NotFound("discussion", text[:20])
    return int(text)


def _filter(request: Request) -> tuple[Filter, int]:
    asked = Query.of(request)
    kind, status, page = asked.text("type") or "all", asked.text("status") or "all", asked.text("p") or "0"
    if kind not in ("all", "discussion", "pull_request"):
        raise InvalidRequest("use all, discussion or pull_request", "type")
    if status not in ("all", "open", "closed"):
        raise InvalidRequest("use all, open or closed", "status")
    if not (page.isascii() and page.isdecimal() and len(page) < 10):
        raise InvalidRequest("it is not a page's number", "p")
    return (
        Filter(
            pulls=None if kind == "all" else kind == "pull_request",
            status=None if status == "all" else "open" if status == "open" else "closed",
            author=asked.text("author") or None,
        ),
        int(page),
    )
