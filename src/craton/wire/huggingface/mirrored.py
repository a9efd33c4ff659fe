"""Reading routes, with a mirror before them: what is asked for is brought here first, when an upstream hub has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from craton.core.access import SHARED_TENANT
from craton.core.errors import NotFound, SourceFailed
from craton.core.repo import RepoId
from craton.hub.mirror.mirror import Mirror
from craton.hub.reaching import Reached, Reaching
from craton.wire.http import Handler, Reply, Request, Route
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.naming import kind_of, repo_of, revision_of

HINT = (
    "Nothing is fetched from other hubs: to mirror one, put [hubs.huggingface] with allow = ["
    '"{name}"] into config.toml and restart the server.'
)
BROUGHT = frozenset(
    {
        "CheckAccess",
        "GetPathsInfo",
        "GetRepoInfo",
        "ListRepoCommits",
        "ListRepoRefs",
        "ListRepoTree",
        "RawFile",
        "ResolveFile",
        "XetReadToken",
    }
)
"""Operations that read a repository's files, or about them. What people do around it upstream is not mirrored."""


class Mirrored:
    """The routes of other parts. mirror: None where none is configured."""

    def __init__(self, parts: list[Part], reaching: Reaching, mirror: Mirror | None) -> None:
        self._parts, self._reaching, self._mirror = parts, reaching, mirror

    def routes(self) -> list[Route]:
        return [self._wrapped(route) for part in self._parts for route in part.routes()]

    def _wrapped(self, route: Route) -> Route:
        if route.operation not in BROUGHT:
            return route
        return replace(route, handler=self._before(route.handler))

    def _before(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Reply:
            if self._mirror is not None:
                await self._bring(self._mirror, request)
                return await handler(request)
            with _hinting():
                return await handler(request)

        return handle

    async def _bring(self, mirror: Mirror, request: Request) -> None:
        repo, tenant = repo_of(request), request.authenticated.tenant
        reached = await asyncio.to_thread(self._reach, tenant, repo)
        if reached is not None and (reached.own or reached.owner == SHARED_TENANT):
            return
        bare = "namespace" not in request.params
        try:
            found = await mirror.ensure(
                tenant, kind_of(request), repo.name if bare else repo.path, revision_of(request)
            )
        except SourceFailed:
            if reached is None:
                raise
            return  # what another tenant shares does not need upstream
        if bare and found is not None:
            request.params |= {"namespace": found.namespace, "name": found.name}

    def _reach(self, tenant: str, repo: RepoId) -> Reached | None:
        try:
            return self._reaching.reach(tenant, repo)
        except NotFound:
            return None


@contextmanager
def _hinting() -> Iterator[None]:
    """A server without a mirror says how it would have one: HF_ENDPOINT sends clients here for everything."""
    try:
        yield
    except NotFound as error:
        if error.kind == "repository" and not error.hint:
            raise NotFound(error.kind, error.name, HINT.format(name=error.name)) from error
        raise
