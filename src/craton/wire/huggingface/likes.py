"""Likes on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from craton.core.access import Action
from craton.core.errors import NotFound
from craton.hub.collaboration.likes import Likes
from craton.hub.collaboration.users import Users
from craton.hub.reaching import Reached, Reaching
from craton.wire.http import Handler, Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import api_patterns, hub_route, repo_of
from craton.wire.huggingface.people import cursor_of, limit_of, offset_of, page_of, write_page
from craton.wire.huggingface.values import write_time


class LikeRoutes:
    """The Hub lets only browsers like; here whoever has a key may."""

    def __init__(self, reaching: Reaching, likes: Likes, users: Users) -> None:
        self._reaching, self._likes, self._users = reaching, likes, users

    def routes(self) -> list[Route]:
        return [*self._routes()]

    def _routes(self) -> Iterator[Route]:
        def of_repo(method: str, rest: str, operation: str, handler: Handler, action: Action) -> Iterator[Route]:
            for pattern in api_patterns(rest, short=rest == "/like"):
                yield hub_route(method, pattern, operation, handler, action)

        yield from of_repo("POST", "/like", "LikeRepository", self._like, Action.WRITE)
        yield from of_repo("DELETE", "/like", "UnlikeRepository", self._unlike, Action.WRITE)
        yield from of_repo("GET", "/likers", "ListRepositoryLikers", self._likers, Action.READ)
        yield hub_route("GET", "/api/users/{user}/likes", "ListLikedRepositories", self._liked, Action.READ)

    async def _like(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        await asyncio.to_thread(self._likes.like, who, reached)
        return json_reply(200, {})

    async def _unlike(self, request: Request) -> Reply:
        who, reached = await self._reach(request)
        await asyncio.to_thread(self._likes.unlike, who, reached)
        return json_reply(200, {})

    async def _likers(self, request: Request) -> Reply:
        _, reached = await self._reach(request)
        limit = limit_of(request)
        after = cursor_of(request)
        names, more = page_of(await asyncio.to_thread(self._likes.likers, reached, after, limit + 1), limit)
        people = [{"user": name, "fullname": name, "avatarUrl": ""} for name in names]
        return write_page(request, people, names[-1] if more else None)

    async def _liked(self, request: Request) -> Reply:
        viewer, user = request.authenticated.tenant, request.params["user"]
        if not await asyncio.to_thread(self._users.known, user):
            raise NotFound("user", user[:64])
        limit = limit_of(request)
        offset = offset_of(request)
        found = await asyncio.to_thread(self._likes.liked, viewer, user, offset, limit + 1)
        likes, more = page_of(found, limit)
        items = [
            {"createdAt": write_time(it.created), "repo": {"name": it.repo.path, "type": it.repo.kind}} for it in likes
        ]
        return write_page(request, items, str(offset + limit) if more else None)

    async def _reach(self, request: Request) -> tuple[str, Reached]:
        who = request.authenticated.tenant
        return who, await asyncio.to_thread(self._reaching.reach, who, repo_of(request))
