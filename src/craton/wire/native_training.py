"""Craton's own routes to training: a specification in, a job out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from craton.core.access import Action
from craton.core.errors import InvalidRequest, NotFound
from craton.core.job import Job
from craton.training.specification.explaining import Explanation
from craton.wire.http import Handler, Reply, Request, Route, decode_json, json_reply
from craton.wire.openai.errors import write_error

ROOT = "/api/craton/v1/trainings"
KIND = "train"
MAX_BODY = 1 << 20

_COMMIT, _COUNT = re.compile("[0-9a-f]{7,64}"), re.compile("[0-9]{1,9}")


class Trainings(Protocol):
    """What these routes need of `craton.training.submitting`."""

    async def submit(
        self, tenant: str, document: Any, on: str = "", source: Mapping[str, Any] | None = None
    ) -> Job: ...

    async def explain(self, tenant: str, document: Any) -> Explanation: ...


class Jobs(Protocol):
    """And of `craton.jobs.queue`. Blocks; NotFound for another tenant's job."""

    def get(self, tenant: str, job: str) -> Job: ...


class TrainingDialect:
    """Errors are written as those of the other own routes. How a run goes on is asked of the jobs' routes."""

    name = "craton"

    def __init__(self, trainings: Trainings, jobs: Jobs) -> None:
        self._trainings, self._jobs = trainings, jobs

    def routes(self) -> list[Route]:
        def route(method: str, path: str, operation: str, handler: Handler, action: Action) -> Route:
            return Route(method, ROOT + path, self.name, operation, handler, write_error, action, max_body=MAX_BODY)

        return [
            route("POST", "", "SubmitTraining", self._submit, Action.WRITE),
            route("POST", "/explain", "ExplainTraining", self._explain, Action.READ),
            route("GET", "/{id}", "GetTraining", self._get, Action.READ),
        ]

    async def _submit(self, request: Request) -> Reply:
        """?on=ray&commit=ID&changed=FILES: where it runs; the git commit that its specification is of, and how many
        files differ from it."""
        given, tenant = request.query_params(), request.authenticated.tenant
        document, source = decode_json(request.body), _source(given)
        job = await self._trainings.submit(tenant, document, given.get("on", ""), source)
        return json_reply(202, shown(job))

    async def _explain(self, request: Request) -> Reply:
        return json_reply(200, await self._trainings.explain(request.authenticated.tenant, decode_json(request.body)))

    async def _get(self, request: Request) -> Reply:
        job = await asyncio.to_thread(self._jobs.get, request.authenticated.tenant, request.params["id"])
        if job.kind != KIND:
            raise NotFound("training", job.id)
        return json_reply(200, shown(job))


def _source(given: Mapping[str, str]) -> dict[str, Any]:
    commit, changed = given.get("commit", ""), given.get("changed", "0")
    if commit and _COMMIT.fullmatch(commit) is None:
        raise InvalidRequest("must be the id of a git commit", "commit")
    if _COUNT.fullmatch(changed) is None:
        raise InvalidRequest("must be a number of files", "changed")
    return {"commit": commit, "changed": int(changed)} if commit else {}


def shown(job: Job) -> dict[str, Any]:
    """The job, with the specification that it runs and the data's revision."""
    fields: dict[str, Any] = msgspec.to_builtins(job)
    arguments = fields.pop("arguments")
    return {**fields, "specification": arguments.get("specification"), "data": arguments.get("pinned", "")}
