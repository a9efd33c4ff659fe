"""Repositories come into being, change their names and settings, and go."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
from msgspec import Struct

from craton.core.access import Action
from craton.core.errors import Conflict, InvalidRequest, Unsupported
from craton.core.repo import Add, Gating, RepoId
from craton.hub.cards import complete_card
from craton.hub.reaching import Reaching
from craton.hub.repositories import Hub
from craton.wire.body import Refusal, read_body
from craton.wire.http import Reply, Request, Route, json_reply
from craton.wire.huggingface.errors import identified
from craton.wire.huggingface.links import repo_url
from craton.wire.huggingface.naming import api_patterns, author_of, hub_route, repo_named, repo_of
from craton.wire.huggingface.values import write_gated

SDKS = ("gradio", "streamlit", "docker", "static")
NO_HARDWARE = Refusal(hint="Spaces are kept as files here; nothing runs them.")
REFUSED = {
    "hardware": NO_HARDWARE,
    "secrets": NO_HARDWARE,
    "variables": NO_HARDWARE,
    "volumes": NO_HARDWARE,
    "template": NO_HARDWARE,
    "sleepTimeSeconds": NO_HARDWARE,
    "resourceGroupId": Refusal(),
}
_LARGE = """
7z arrow bin bz2 ckpt ftz gguf gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar
safetensors tar tflite tgz wasm xz zip zst
"""
ATTRIBUTES = "".join(f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in _LARGE.split())
"""The first file of every repository, as on the Hub: git's clients put these endings into Git LFS."""


class NewRepo(Struct, frozen=True):
    """visibility since huggingface_hub 2, private before; neither: what the operator set."""

    name: str
    organization: str | None = None
    type: str | None = None
    private: bool | None = None
    visibility: str | None = None
    sdk: str | None = None
    license: str | None = None


class OldRepo(Struct, frozen=True):
    name: str
    organization: str | None = None
    type: str | None = None


class Moving(Struct, frozen=True):
    fromRepo: str
    toRepo: str
    type: str | None = None


class NewSettings(Struct, frozen=True):
    private: bool | None = None
    visibility: str | None = None
    gated: Literal["auto", "manual", False] | None = None


_NEW = msgspec.json.Decoder(NewRepo)
_OLD = msgspec.json.Decoder(OldRepo)
_MOVES = msgspec.json.Decoder(Moving)
_SETTINGS = msgspec.json.Decoder(NewSettings)


class RepositoryRoutes:
    """private: whether a new repository is, when its maker does not say."""

    def __init__(self, reaching: Reaching, hub: Hub, private: bool) -> None:
        self._reaching, self._hub, self._private = reaching, hub, private

    def routes(self) -> list[Route]:
        write = Action.WRITE
        return [
            hub_route("POST", "/api/repos/create", "CreateRepo", self._create, write),
            hub_route("DELETE", "/api/repos/delete", "DeleteRepo", self._delete, write),
            hub_route("POST", "/api/repos/move", "MoveRepo", self._move, write),
            *(hub_route("PUT", it, "UpdateRepoSettings", self._configure, write) for it in api_patterns("/settings")),
        ]

    async def _create(self, request: Request) -> Reply:
        new = read_body(_NEW, request.body, REFUSED)
        tenant = request.authenticated.tenant
        repo = repo_named(new.type, f"{new.organization or tenant}/{new.name}", tenant)
        private = chosen_privacy(new.private, new.visibility)
        files = {".gitattributes": ATTRIBUTES, **_readme(repo, new)}

        def write() -> str:
            first = [self._add(tenant, path, text.encode()) for path, text in files.items()]
            chosen = self._private if private is None else private
            return self._hub.create(tenant, repo, private=chosen, first=first, author=author_of(request)).id

        told = {"name": repo.path, "url": repo_url(request, repo)}
        try:
            found = await asyncio.to_thread(write)
        except Conflict:
            error = f"You already created this {repo.kind} repo: {repo.path}"
            return json_reply(409, {"error": error, **told}, {"x-error-message": error, **identified(request)})
        return json_reply(200, {**told, "id": found})

    def _add(self, tenant: str, path: str, content: bytes) -> Add:
        stored = self._hub.store(tenant, [content], len(content))
        return Add(path, stored.digest, stored.size)

    async def _delete(self, request: Request) -> Reply:
        old = read_body(_OLD, request.body, {})
        tenant = request.authenticated.tenant
        repo = repo_named(old.type, f"{old.organization or tenant}/{old.name}", tenant)

        def write() -> None:
            reached = self._reaching.reach(tenant, repo, "write")
            self._hub.delete(reached.owner, reached.repo)

        await asyncio.to_thread(write)
        return json_reply(200, {})

    async def _move(self, request: Request) -> Reply:
        asked = read_body(_MOVES, request.body, {})
        tenant = request.authenticated.tenant
        old = repo_named(asked.type, asked.fromRepo, tenant, field="fromRepo")
        new = repo_named(asked.type, asked.toRepo, tenant, field="toRepo")

        def write() -> None:
            reached = self._reaching.reach(tenant, old, "write")
            self._hub.move(reached.owner, reached.repo, new)

        await asyncio.to_thread(write)
        return json_reply(200, {"url": repo_url(request, new)})

    async def _configure(self, request: Request) -> Reply:
        asked = read_body(_SETTINGS, request.body, {})
        private = chosen_privacy(asked.private, asked.visibility)
        gated: Gating | None = None if asked.gated is None else asked.gated or ""

        def write() -> dict[str, Any]:
            reached = self._reaching.reach(request.authenticated.tenant, repo_of(request), "write")
            self._hub.configure(reached.owner, reached.repo, private=private, gated=gated)
            now = self._hub.get(reached.owner, reached.repo)
            return {"private": now.private, "gated": write_gated(now.gated)}

        return json_reply(200, await asyncio.to_thread(write))


def chosen_privacy(private: bool | None, visibility: str | None) -> bool | None:
    """None: not said. Raises Unsupported for "protected", which lets a Space run whose files nobody may see."""
    if visibility is None:
        return private
    if visibility == "protected":
        raise Unsupported("The visibility 'protected'", "Use 'private' or 'public'.")
    if visibility not in {"public", "private"}:
        raise InvalidRequest("must be 'public' or 'private'", "visibility")
    return visibility == "private"


def _readme(repo: RepoId, new: NewRepo) -> dict[str, str]:
    """The card that says what was asked for: a Space's SDK, a license."""
    fields = {}
    if repo.kind == "space":
        if new.sdk not in SDKS:
            raise InvalidRequest(f"must be one of {', '.join(SDKS)}", "sdk")
        fields = {"title": repo.name, "sdk": new.sdk}
    if new.license:
        fields["license"] = new.license[:100]
    return {"README.md": complete_card(None, fields, repo.name)} if fields else {}
