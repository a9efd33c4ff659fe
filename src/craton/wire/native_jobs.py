"""Craton's own routes for jobs, which no borrowed API has a word for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Protocol, get_args

import msgspec

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.core.job import Job, JobEvent, JobStatus
from craton.wire.http import Handler, Reply, Request, Route, json_reply, whole_number
from craton.wire.openai.errors import write_error

MAX_PAGE = 1000
_STATUSES: frozenset[str] = frozenset(get_args(JobStatus))


class Page(Protocol):
    @property
    def jobs(self) -> tuple[Job, ...]: ...

    @property
    def cursor(self) -> str: ...


class Jobs(Protocol):
    """What these routes need of `craton.jobs.queue.Jobs`. All calls block; NotFound for another tenant's job."""

    def list(
        self, tenant: str, statuses: Collection[JobStatus] = (), kind: str = "", limit: int = 50, cursor: str = ""
    ) -> Page: ...

    def get(self, tenant: str, job: str) -> Job: ...

    def events(self, tenant: str, job: str, after: int = 0, limit: int = MAX_PAGE) -> tuple[JobEvent, ...]: ...

    def cancel(self, tenant: str, job: str) -> Job: ...


class JobsDialect:
    """Errors are written as those of the other own routes."""

    name = "craton"

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def routes(self) -> list[Route]:
        def route(method: str, pattern: str, operation: str, handler: Handler, action: Action) -> Route:
            return Route(method, pattern, self.name, operation, handler, write_error, action, max_body=64 * 1024)

        return [
            route("GET", "/api/craton/v1/jobs", "ListJobs", self._list, Action.READ),
            route("GET", "/api/craton/v1/jobs/{id}", "GetJob", self._get, Action.READ),
            route("GET", "/api/craton/v1/jobs/{id}/events", "ListJobEvents", self._events, Action.READ),
            route("POST", "/api/craton/v1/jobs/{id}/cancel", "CancelJob", self._cancel, Action.WRITE),
        ]

    async def _list(self, request: Request) -> Reply:
        """?status=queued,running&kind=ingest&limit=50&cursor=..."""
        given = request.query_params()
        statuses = [status for status in given.get("status", "").split(",") if status]
        if not _STATUSES.issuperset(statuses):
            raise InvalidRequest(f"must be some of {', '.join(sorted(_STATUSES))}", "status")
        page = await asyncio.to_thread(
            self._jobs.list,
            request.authenticated.tenant,
            msgspec.convert(statuses, list[JobStatus]),
            given.get("kind", ""),
            whole_number(given, "limit", 50, 1, MAX_PAGE),
            given.get("cursor", ""),
        )
        return json_reply(200, {"jobs": [_shown(job) for job in page.jobs], "cursor": page.cursor})

    async def _get(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant
        return json_reply(200, _shown(await asyncio.to_thread(self._jobs.get, tenant, request.params["id"])))

    async def _events(self, request: Request) -> Reply:
        """?after=NUMBER&limit=1000"""
        given = request.query_params()
        after, limit = (
            whole_number(given, "after", 0, 0, 2**31 - 1),
            whole_number(given, "limit", MAX_PAGE, 1, MAX_PAGE),
        )
        tenant = request.authenticated.tenant
        events = await asyncio.to_thread(self._jobs.events, tenant, request.params["id"], after, limit)
        return json_reply(200, {"events": events})

    async def _cancel(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant
        return json_reply(200, _shown(await asyncio.to_thread(self._jobs.cancel, tenant, request.params["id"])))


def _shown(job: Job) -> dict[str, Any]:
    """Without the arguments: they are between the code that submits and the code that runs."""
    shown: dict[str, Any] = msgspec.to_builtins(job)
    del shown["arguments"]
    return shown
