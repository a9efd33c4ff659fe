"""Commits, and what they changed."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Sequence
from typing import Any

from craton.core.access import Action
from craton.core.errors import InvalidRequest, TooLarge
from craton.core.repo import Revision
from craton.hub.comparing import Changed
from craton.hub.contents import Contents
from craton.hub.reaching import Reaching
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.links import next_link
from craton.wire.huggingface.naming import api_path, api_patterns, hub_route, params_text, repo_of, revision_of
from craton.wire.huggingface.query import Query
from craton.wire.huggingface.values import split_message, write_time

PAGE, MAX_PAGE = 50, 1000
MAX_CHANGES = 20_000
REGULAR, NOTHING = "100644", "000000"  # git's modes
NO_ID = "0" * 40


class HistoryRoutes:
    """A page of commits ends where the next one begins: at a parent."""

    def __init__(self, reaching: Reaching, contents: Contents) -> None:
        self._reaching, self._contents = reaching, contents

    def routes(self) -> list[Route]:
        note = "Only with raw=true: git's raw diff, without renames."
        commits = api_patterns("/commits/{revision}", short=True)
        compare = api_patterns("/compare/{spec}")
        return [
            *(hub_route("GET", it, "ListRepoCommits", self._commits, Action.READ) for it in commits),
            *(hub_route("GET", it, "CompareRevisions", self._compare, Action.READ, note=note) for it in compare),
        ]

    async def _commits(self, request: Request) -> Reply:
        query = Query.of(request)
        limit = query.number("limit", PAGE, MAX_PAGE)

        def read() -> Sequence[Revision]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            return self._contents.history(reached.owner, reached.repo, revision_of(request), limit)

        commits = await asyncio.to_thread(read)
        formatted = "formatted" in query.all("expand")
        after = commits[-1].parent
        path = f"{api_path(repo_of(request))}/commits/{after}"
        headers = next_link(request, query.but(), path) if after else {}
        return json_reply(200, [_write(commit, formatted) for commit in commits], headers)

    async def _compare(self, request: Request) -> Reply:
        raw = Query.of(request).flag("raw")

        def read() -> list[Changed]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request))
            if not raw:
                raise InvalidRequest("only raw=true is answered", "raw")
            before, after = _spec(params_text(request, "spec"))
            return self._contents.changes(reached.owner, reached.repo, before, after, MAX_CHANGES + 1)

        changes = await asyncio.to_thread(read)
        if len(changes) > MAX_CHANGES:
            raise TooLarge("The diff", MAX_CHANGES, unit="files")
        return Reply(200, "".join(map(_line, changes)).encode(), {"content-type": "text/plain; charset=utf-8"})


def _spec(text: str) -> tuple[str | None, str]:
    """ "a..b" is from a to b, "a" is what a changed. Raises InvalidRequest."""
    before, dots, after = text.partition("..")
    if after.startswith("."):
        raise InvalidRequest("three dots are not answered: name both revisions with two", "spec")
    if not dots:
        return (before.removesuffix("^") or None, before) if not before.endswith("^") else (None, before[:-1])
    return before, after


def _line(change: Changed) -> str:
    """As `git diff --raw --no-renames --abbrev=40` with the new size before the name, as the Hub writes it."""
    before, after = change.before, change.after
    letter = "A" if before is None else "D" if after is None else "M"
    modes = f":{NOTHING if before is None else REGULAR} {NOTHING if after is None else REGULAR}"
    ids = f"{NO_ID if before is None else before.git_oid} {NO_ID if after is None else after.git_oid}"
    return f"{modes} {ids} {letter}\t{change.path}\n"


def _write(commit: Revision, formatted: bool) -> dict[str, Any]:
    title, message = split_message(commit.message)
    written: dict[str, Any] = {
        "id": commit.id,
        "title": title,
        "message": message,
        "authors": [{"user": commit.author, "avatar": ""}],
        "date": write_time(commit.created),
    }
    if formatted:
        written["formatted"] = {"title": html.escape(title), "message": html.escape(message)}
    return written
