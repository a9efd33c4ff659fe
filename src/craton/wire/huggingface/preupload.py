"""POST .../preupload/REVISION: before an upload, how each file is to be sent and what is there already."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import InvalidRequest, TooLarge
from craton.hub.patterns import MAX_BYTES
from craton.hub.upload_modes import Asked, Told, UploadModes
from craton.wire.body import read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.naming import api_patterns, hub_route, repo_of, revision_of
from craton.wire.huggingface.writing import Writing

MAX_FILES = 256


class File(Struct, frozen=True):
    path: str
    size: int = 0
    sample: bytes = b""


class Question(Struct, frozen=True):
    files: list[File]
    gitIgnore: str | None = None


_QUESTIONS = msgspec.json.Decoder(Question)


class PreuploadRoutes:
    """Asked by whoever may commit, and by who is about to open a pull request."""

    def __init__(self, writing: Writing, modes: UploadModes) -> None:
        self._writing, self._modes = writing, modes

    def routes(self) -> list[Route]:
        return [
            hub_route("POST", pattern, "Preupload", self.tell, Action.WRITE, max_body=4 * 1024 * 1024)
            for pattern in api_patterns("/preupload/{revision}", short=True)
        ]

    async def tell(self, request: Request) -> Reply:
        question = read_body(_QUESTIONS, request.body, {})
        if len(question.files) > MAX_FILES:
            raise TooLarge("The list of files", MAX_FILES, len(question.files), "files")
        if len(question.gitIgnore or "") > MAX_BYTES:
            raise TooLarge("The rules to ignore files by", MAX_BYTES, unit="characters")
        if any(file.size < 0 for file in question.files):
            raise InvalidRequest("a size is below zero", "files")
        told = await asyncio.to_thread(self._told, request, question)
        return json_reply(200, {"files": [_write(it) for it in told]})

    def _told(self, request: Request, question: Question) -> list[Told]:
        revision = revision_of(request)
        reached = self._writing.reach(request, repo_of(request), revision)
        asked = [Asked(it.path, it.size, it.sample) for it in question.files]
        return self._modes.tell(reached.owner, reached.repo, revision, asked, question.gitIgnore)


def _write(told: Told) -> dict[str, object]:
    found: dict[str, object] = {"path": told.path, "uploadMode": told.mode, "shouldIgnore": told.ignored}
    return found if told.oid is None else found | {"oid": told.oid}
