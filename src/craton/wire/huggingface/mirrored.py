"""Reading routes, with a mirror before them: what is asked for is brought here first, when an upstream hub has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from craton.core.access import SHARED_TENANT
from craton.core.errors import NotFound, SourceFailed
from craton.core.repo import RepoId, RepoKind
from craton.hub.mirror.mirror import Mirror
from craton.hub.reaching import Reached, Reaching
from craton.wire.http import Reply, Request, Route
from craton.wire.huggingface.dialect import Part
from craton.wire.huggingface.naming import kind_of, repo_of, revision_of

HINT = (
    "It is not fetched from another hub either: to mirror one, put [hubs.huggingface] with allow = ["
    '"{name}"] into config.toml and restart the server.'
)
REFS = "ListRepoRefs"
BROUGHT = frozenset(
    {
        "CheckAccess",
        "GetPathsInfo",
        "GetRepoInfo",
        "ListRepoCommits",
        REFS,
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
        handler, names = route.handler, route.operation == REFS

        async def handle(request: Request) -> Reply:
            with self._hinting(request):
                if self._mirror is not None:
                    await self._bring(self._mirror, request, names=names)
                return await handler(request)

        return replace(route, handler=handle)

    async def _bring(self, mirror: Mirror, request: Request, *, names: bool) -> None:
        """names: of all branches and tags, too."""
        tenant, kind, path = _asked(request)
        reached = await asyncio.to_thread(self._reach, tenant, repo_of(request))
        if reached is not None and (reached.own or reached.owner == SHARED_TENANT):
            return
        try:
            if names:
                found = await mirror.ensure_refs(tenant, kind, path)
            else:
                found = await mirror.ensure(tenant, kind, path, revision_of(request))
        except SourceFailed:
            if reached is None:
                raise
            return  # what another tenant shares does not need upstream
        if "namespace" not in request.params and found is not None:
            request.params |= {"namespace": found.namespace, "name": found.name}

    def _reach(self, tenant: str, repo: RepoId) -> Reached | None:
        try:
            return self._reaching.reach(tenant, repo)
        except NotFound:
            return None

    @contextmanager
    def _hinting(self, request: Request) -> Iterator[None]:
        """Says how what is on another hub would come from here: HF_ENDPOINT sends clients here for everything."""
        try:
            yield
        except NotFound as error:
            offered = self._mirror is not None and self._mirror.offers(*_asked(request))
            if error.kind != "repository" or error.hint or offered:
                raise
            raise NotFound(error.kind, error.name, HINT.format(name=_asked(request)[2])) from error


def _asked(request: Request) -> tuple[str, RepoKind, str]:
    """The tenant, and what it asks for: a kind, and namespace/name or a name alone."""
    bare = "namespace" not in request.params
    return (
        request.authenticated.tenant,
        kind_of(request),
        request.params["name"] if bare else repo_of(request).path,
    )
