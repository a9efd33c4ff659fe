"""Large files of a repository's whole history: listed, given to another repository, removed for good."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest
from craton.hub.admission import Admission
from craton.hub.names import is_digest
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import api_patterns, hub_route, repo_named, repo_of
from craton.wire.huggingface.values import write_time

MAX_BODY = 4 * 1024 * 1024
MAX_FILES = 10_000  # of one request


class Deletions(Struct, frozen=True):
    sha: list[str]
    rewriteHistory: bool = True


class Batch(Struct, frozen=True):
    deletions: Deletions


class Target(Struct, frozen=True):
    name: str
    type: str | None = None


class Given(Struct, frozen=True):
    sha256: str


class Gift(Struct, frozen=True):
    target: Target
    files: list[Given]


_BATCHES = msgspec.json.Decoder(Batch)
_GIFTS = msgspec.json.Decoder(Gift)


class LargeFileRoutes:
    """A gift copies no bytes: it lets the target's owner name them in a commit."""

    def __init__(self, reaching: Reaching, hub: Hub, admission: Admission) -> None:
        self._reaching, self._hub, self._admission = reaching, hub, admission

    def routes(self) -> list[Route]:
        table = (
            ("GET", "/lfs-files", "ListLfsFiles", self._list),
            ("POST", "/lfs-files/batch", "DeleteLfsFiles", self._delete),
            ("POST", "/lfs-files/duplicate", "DuplicateLfsFiles", self._duplicate),
        )
        return [
            hub_route(method, pattern, operation, handler, Action.WRITE, max_body=MAX_BODY)
            for method, rest, operation, handler in table
            for pattern in api_patterns(rest)
        ]

    async def _list(self, request: Request) -> Reply:
        def read() -> list[dict[str, Any]]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            return [
                {
                    "fileOid": file.digest,
                    "oid": file.digest,
                    "filename": file.path,
                    "size": file.size,
                    "ref": file.ref,
                    "pushedAt": write_time(file.pushed),
                }
                for file in self._hub.large_files(reached.owner, reached.repo)
            ]

        return json_reply(200, await asyncio.to_thread(read))

    async def _delete(self, request: Request) -> Reply:
        def write() -> None:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            asked = read_body(_BATCHES, request.body, {}).deletions
            if not asked.rewriteHistory:
                raise InvalidRequest("files are removed from the history, or stay", "rewriteHistory")
            self._hub.purge(reached.owner, reached.repo, _digests(asked.sha))

        await asyncio.to_thread(write)
        return json_reply(200, {})

    async def _duplicate(self, request: Request) -> Reply:
        tenant = request.authenticated.tenant

        def write() -> list[dict[str, str]]:
            source = self._reaching.reach(tenant, repo_of(request))
            asked = read_body(_GIFTS, request.body, {})
            target = self._reaching.reach(tenant, repo_named(asked.target.type, asked.target.name, tenant), "write")
            self._admission.check(tenant, source)
            missing = self._hub.give(source, target.owner, _digests([file.sha256 for file in asked.files]))
            return [{"sha256": digest, "error": "There is no such file in this repository."} for digest in missing]

        return json_reply(200, {"failed": await asyncio.to_thread(write)})


def _digests(texts: list[str]) -> frozenset[str]:
    if len(texts) > MAX_FILES or not all(is_digest(text) for text in texts):
        raise InvalidRequest(f"must hold at most {MAX_FILES:,} SHA-256 in hex", "files")
    return frozenset(texts)
