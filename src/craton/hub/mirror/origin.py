"""One upstream hub on the wire: what a revision is, which files it holds, and their bytes.

The operator's token goes to the upstream's own origin and nowhere else: redirects are followed here, one by one, and
the storage that they lead to gets none.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import msgspec
from msgspec import Struct

from craton.core.errors import CratonError, Damaged, Gated, NotFound, SourceFailed, TooLarge
from craton.core.repo import RepoId, RepoKind
from craton.hub.mirror.words import RemoteFile, Seen, Upstream
from craton.hub.names import check_path, is_commit_id, is_digest, is_repo
from craton.hub.refs import Ref, RefKind, is_name

if TYPE_CHECKING:
    import httpx

PLURALS: dict[RepoKind, str] = {"model": "models", "dataset": "datasets", "space": "spaces"}
MAX_ANSWER = 16 * 1024 * 1024  # bytes of one JSON answer
MAX_FILES = 200_000
MAX_REFS = 10_000  # of one kind
MAX_REDIRECTS = 5
ASKING, READING = 8.0, 30.0  # seconds without a byte: of an answer, of a file
CONNECTING = 4.0  # seconds; clients of ours give up after ten
DOWN = 10.0  # seconds until an upstream that could not be reached is tried again
UNREACHABLE = "it cannot be reached"
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="next"')


class _Info(Struct, frozen=True):
    id: str
    sha: str
    private: bool = False
    gated: bool | str | None = False
    lastModified: str = ""


class _Lfs(Struct, frozen=True):
    oid: str
    size: int


class _Item(Struct, frozen=True):
    type: str
    path: str
    oid: str
    size: int = 0
    lfs: _Lfs | None = None


class _Ref(Struct, frozen=True):
    name: str
    targetCommit: str


class _Refs(Struct, frozen=True):
    branches: list[_Ref] = []
    converts: list[_Ref] = []
    tags: list[_Ref] = []


class Origin:
    """client: gives the one outgoing client. token: reads the operator's token for this upstream, "" for none; called
    in a thread. Raises NotFound, Gated, OutgoingRefused, and SourceFailed for everything that may pass."""

    def __init__(
        self,
        upstream: Upstream,
        client: Callable[[], httpx.AsyncClient],
        token: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upstream, self._client, self._token = upstream, client, token
        self._monotonic, self._down_until = monotonic, 0.0
        self._endpoint = upstream.endpoint.rstrip("/")

    async def look(self, kind: RepoKind, path: str, revision: str) -> Seen:
        """path: namespace/name, or an old name without a namespace."""
        members = "&".join(f"expand={name}" for name in ("sha", "private", "gated", "lastModified"))
        place = f"/api/{PLURALS[kind]}/{path}/revision/{quote(revision, safe='')}?{members}"
        body, _ = await self._ask(self._endpoint + place, path, revision)
        info = self._decoded(body, _Info)
        namespace, _, name = info.id.partition("/")
        repo = RepoId(kind, namespace, name)
        if not (is_repo(repo) and is_commit_id(info.sha)):
            raise Damaged(f"The answer of {self.upstream.name}", "it is not what a hub answers")
        return Seen(repo, info.sha, info.private, bool(info.gated), _seconds(info.lastModified))

    async def refs(self, repo: RepoId) -> list[Ref]:
        """Branches, tags and converted copies; pull requests stay there."""
        body, _ = await self._ask(f"{self._endpoint}/api/{PLURALS[repo.kind]}/{repo.path}/refs", repo.path, "")
        told: _Refs = self._decoded(body, _Refs)
        named: list[tuple[RefKind, list[_Ref]]] = [
            ("branch", told.branches),
            ("convert", told.converts),
            ("tag", told.tags),
        ]
        return [
            Ref(kind, ref.name, ref.targetCommit)
            for kind, found in named
            for ref in found[:MAX_REFS]
            if is_name(kind, ref.name) and is_commit_id(ref.targetCommit)
        ]

    async def files(self, repo: RepoId, commit: str) -> list[RemoteFile]:
        """Every file of the commit."""
        place: str | None = f"{self._endpoint}/api/{PLURALS[repo.kind]}/{repo.path}/tree/{commit}?recursive=true"
        found: list[RemoteFile] = []
        while place is not None:
            body, place = await self._ask(place, repo.path, commit)
            items = self._decoded(body, list[_Item])
            found += [self._file(item) for item in items if item.type == "file"]
            if len(found) > MAX_FILES:
                raise TooLarge(f"{repo.path} of {self.upstream.name}", MAX_FILES, unit="files")
            if not items:
                break
        return found

    @asynccontextmanager
    async def read(self, repo: RepoId, commit: str, path: str, start: int) -> AsyncIterator[tuple[int, Any]]:
        """The file's bytes from `start` on, or from the beginning where the storage knows no ranges: yields where they
        begin, and an iterator of them."""
        prefix = "" if repo.kind == "model" else f"{PLURALS[repo.kind]}/"
        url = f"{self._endpoint}/{prefix}{repo.path}/resolve/{commit}/{quote(path)}"
        headers = {"accept-encoding": "identity"} | ({"range": f"bytes={start}-"} if start else {})
        async with self._get(url, READING, headers) as answer:
            self._check(answer, repo.path, commit)
            resumed = answer.status_code == 206 and answer.headers.get("content-range", "").startswith(
                f"bytes {start}-"
            )
            if answer.status_code == 206 and not resumed:
                raise self.failed("it answered with another part of the file")
            yield (start if resumed else 0), answer.aiter_raw()

    def failed(self, reason: str) -> SourceFailed:
        return SourceFailed(self.upstream.name, reason)

    async def _ask(self, url: str, path: str, revision: str) -> tuple[bytes, str | None]:
        """A JSON answer, and the address of its next page."""
        content = bytearray()
        async with self._get(url, ASKING, {"accept": "application/json"}) as answer:
            self._check(answer, path, revision)
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise TooLarge(f"an answer of {self.upstream.name}", MAX_ANSWER)
            following = _NEXT.search(answer.headers.get("link", ""))
            here = str(answer.url)
        if following is None:
            return bytes(content), None
        after = urljoin(here, following[1])
        if _origin(after) != _origin(self._endpoint):
            raise Damaged(f"The answer of {self.upstream.name}", "its next page is on another host")
        return bytes(content), after

    @asynccontextmanager
    async def _get(self, url: str, patience: float, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        import httpx

        if self._monotonic() < self._down_until:
            raise self.failed(UNREACHABLE)
        token = await asyncio.to_thread(self._token)
        client, timeout = self._client(), httpx.Timeout(patience, connect=CONNECTING)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                own = token and _origin(url) == _origin(self._endpoint)
                sent = headers | ({"authorization": f"Bearer {token}"} if own else {})
                request = client.build_request("GET", url, headers=sent, timeout=timeout)
                answer = await client.send(request, stream=True)
                try:
                    if not answer.has_redirect_location:
                        yield answer
                        return
                    url = urljoin(url, answer.headers["location"])
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            if isinstance(error, CratonError):
                raise
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                self._down_until = self._monotonic() + DOWN
                raise self.failed(UNREACHABLE) from error
            raise self.failed("it broke off") from error
        raise self.failed("it redirects without end")

    def _check(self, answer: httpx.Response, path: str, revision: str) -> None:
        status, code = answer.status_code, answer.headers.get("x-error-code", "")
        if status in {200, 206}:
            return
        if code == "GatedRepo":
            raise Gated(path)
        if code == "RevisionNotFound":
            raise NotFound("revision", revision)
        if code == "EntryNotFound":
            raise NotFound("file", path)
        if status in {401, 403, 404}:  # which of them it is, a hub does not tell
            raise NotFound("repository", path)
        raise self.failed(f"it answered with status {status}")

    def _decoded(self, body: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(f"The answer of {self.upstream.name}", "it is not what a hub answers") from error

    def _file(self, item: _Item) -> RemoteFile:
        size = item.lfs.size if item.lfs else item.size
        digest = item.lfs.oid if item.lfs else None
        check_path(item.path)
        if not is_commit_id(item.oid) or size < 0 or not (digest is None or is_digest(digest)):
            raise Damaged(f"The file list of {self.upstream.name}", f"{item.path[:80]!r} comes without size and ids")
        return RemoteFile(item.path, size, item.oid, digest)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
