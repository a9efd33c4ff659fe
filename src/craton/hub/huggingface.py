"""Models from a Hugging Face Hub (or a mirror of it): `hf:org/name[@revision][:filter]`.

Two routes are used: the revision's file list, and the files. Downloads go on where they broke off, and every file is
checked: large ones against the SHA-256 that the hub keeps for them, small ones against their git blob id.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from craton.core.errors import Damaged, InvalidRequest, ModelUnavailable, NotFound, TooLarge, Unsupported
from craton.core.repo import RepoId
from craton.hub.git import BlobId
from craton.hub.importing import CHUNK, Imported, Importer, Progress, from_path, is_safe, quiet
from craton.hub.names import check_path

ENDPOINT = "https://huggingface.co"
MAX_LISTING = 16 * 1024 * 1024  # bytes of the file list
MAX_FILES = 10_000
MAX_BYTES = 2 * 1024**4  # of one model
ATTEMPTS = 5

_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?(?::([\w.-]+))?", re.ASCII)
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


class RemoteModel(Struct, frozen=True):
    """wanted: part of the name of the one GGUF file to take ("Q4_K_M"), or ""."""

    repo: RepoId
    revision: str = "main"
    wanted: str = ""


class _Lfs(Struct, frozen=True):
    sha256: str
    size: int


class _File(Struct, frozen=True):
    path: str = field(name="rfilename")
    size: int | None = None
    git_oid: str | None = field(name="blobId", default=None)
    lfs: _Lfs | None = None


class _Listing(Struct, frozen=True):
    sha: str
    siblings: list[_File] = []


def parse_name(name: str) -> RemoteModel:
    """Raises InvalidRequest."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidRequest(f"{name[:100]!r} is not of the form hf:org/name[@revision][:file filter]", "name")
    namespace, repo, revision, wanted = match.groups()
    return RemoteModel(RepoId("model", namespace, repo), revision or "main", wanted or "")


class HuggingFace:
    """Downloads into `folder` (partial files stay there until they are whole), then imports."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        folder: Path,
        *,
        endpoint: str = ENDPOINT,
        token: str | None = None,
        pause: Callable[[int], float] = lambda attempt: 0.5 * 2**attempt,
    ) -> None:
        """pause: seconds to wait after the nth broken attempt in a row."""
        self._client, self._folder, self._pause = client, folder, pause
        self._endpoint = endpoint.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def pull(self, importer: Importer, model: RemoteModel, progress: Progress = quiet) -> Imported:
        """Raises NotFound, InvalidRequest (several GGUF files and no filter), Damaged, ModelUnavailable."""
        name = f"hf:{model.repo.path}"
        listing = await self._list(model, name)
        files, skipped = choose(listing.siblings, model.wanted, name)
        total, done = sum(_size(file) for file in files), 0
        if total > MAX_BYTES:
            raise TooLarge(name, MAX_BYTES, total)
        local: dict[str, Path] = {}
        for file in files:

            def report(here: int, before: int = done) -> None:
                progress("download", before + here, total)

            local[file.path] = await self._download(model, name, listing.sha, file, report)
            done += _size(file)
        incoming = [from_path(file.path, local[file.path], file.lfs.sha256 if file.lfs else None) for file in files]
        message = f"Import {model.repo.path} at {listing.sha}"
        card = {"base_model": model.repo.path}
        imported = await asyncio.to_thread(importer.put, model.repo, incoming, message, card, progress)
        for path in local.values():
            path.unlink(missing_ok=True)
        return replace(imported, skipped=tuple(skipped))

    async def _list(self, model: RemoteModel, name: str) -> _Listing:
        revision = quote(model.revision, safe="")
        url = f"{self._endpoint}/api/models/{model.repo.path}/revision/{revision}?blobs=true"
        content = bytearray()
        try:
            async with self._client.stream("GET", url, headers=self._headers, follow_redirects=True) as response:
                _check_status(response, name)
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MAX_LISTING:
                        raise TooLarge("the file list of " + name, MAX_LISTING)
        except httpx.HTTPError as error:
            raise ModelUnavailable(name, "the hub could not be reached") from error
        try:
            listing = msgspec.json.decode(bytes(content), type=_Listing)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged("the file list of " + name, "it is not what a hub answers") from error
        if len(listing.siblings) > MAX_FILES:
            raise TooLarge(name, MAX_FILES, len(listing.siblings), unit="files")
        return listing

    async def _download(
        self, model: RemoteModel, name: str, sha: str, file: _File, report: Callable[[int], None]
    ) -> Path:
        """The whole, checked file. Its local name is a hash: no name of a stranger reaches the disk."""
        place = "\0".join((self._endpoint, model.repo.path, sha, file.path))
        target = self._folder / hashlib.sha256(place.encode()).hexdigest()
        url = f"{self._endpoint}/{model.repo.path}/resolve/{quote(sha, safe='')}/{quote(file.path)}"
        await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        size, broken = _size(file), 0
        while (have := _have(target)) < size or not target.exists():
            try:
                await self._continue(url, name, target, have, size, report)
            except httpx.TransportError as error:
                broken = 1 if _have(target) > have else broken + 1
                if broken >= ATTEMPTS:
                    raise ModelUnavailable(
                        name, f"the download of {file.path!r} broke off; pull again to go on"
                    ) from error
                await asyncio.sleep(self._pause(broken))
        try:
            await asyncio.to_thread(_verify, file, target)
        except Damaged:
            target.unlink()  # going on from here would never end well
            raise
        return target

    async def _continue(
        self, url: str, name: str, target: Path, have: int, size: int, report: Callable[[int], None]
    ) -> None:
        headers = self._headers | {"accept-encoding": "identity"} | ({"range": f"bytes={have}-"} if have else {})
        async with self._client.stream("GET", url, headers=headers, follow_redirects=True) as response:
            _check_status(response, name)
            resumed = response.status_code == 206 and response.headers.get("content-range", "").startswith(
                f"bytes {have}-"
            )
            with target.open("ab" if resumed else "wb") as opened:
                here = have if resumed else 0
                async for chunk in response.aiter_bytes():  # as it comes: what waits in a buffer is lost in a break
                    here += len(chunk)
                    if here > size:
                        raise Damaged("the download of " + name, f"a file is longer than its {size:,} bytes")
                    await asyncio.to_thread(opened.write, chunk)
                    report(here)
        if here < size:
            raise httpx.ReadError("the answer ended early")


class Named(Protocol):
    """A file of a repository."""

    @property
    def path(self) -> str: ...


F = TypeVar("F", bound=Named)


def choose(files: list[F], wanted: str, name: str) -> tuple[list[F], list[str]]:
    """The files to take, and the paths of those left out. With GGUF files: one of them and the words beside it.

    Raises InvalidRequest when the choice is not clear or there is nothing to take.
    """
    for file in files:
        check_path(file.path)
    safe = [file for file in files if is_safe(file.path) and not file.path.startswith(".")]
    ggufs = [file for file in safe if file.path.endswith(".gguf")]
    if ggufs:
        fitting = [file for file in ggufs if wanted.lower() in file.path.lower()]
        if len(fitting) != 1:
            names = ", ".join(sorted(file.path for file in ggufs)[:40])
            fault = "several GGUF files fit" if fitting else "no GGUF file fits"
            raise InvalidRequest(f"{fault}: choose one as {name}:FILTER. There are: {names}", "name")
        if _SPLIT.search(fitting[0].path):
            raise Unsupported("A GGUF file in several parts", "Join the parts first (llama-gguf-split --merge).")
        taken = fitting + [file for file in safe if "/" not in file.path and file.path.endswith((".md", ".json"))]
    else:
        if wanted:
            raise InvalidRequest(f"{name} holds no GGUF file, so {wanted!r} chooses nothing", "name")
        taken = safe
        if not any(file.path.endswith(".safetensors") for file in taken):
            raise InvalidRequest(f"{name} holds no safetensors or GGUF file; other weights are not loaded", "name")
    chosen = {file.path for file in taken}
    return taken, sorted(file.path for file in files if file.path not in chosen)


def _size(file: _File) -> int:
    size = file.lfs.size if file.lfs else file.size
    if size is None or size < 0:
        raise Damaged("the file list", f"it tells no size for {file.path!r}")
    return size


def _have(target: Path) -> int:
    return target.stat().st_size if target.exists() else 0


def _verify(file: _File, target: Path) -> None:
    size, sha256, git = target.stat().st_size, hashlib.sha256(), BlobId(target.stat().st_size)
    with target.open("rb") as opened:
        for chunk in git.watch(iter(lambda: opened.read(CHUNK), b"")):
            sha256.update(chunk)
    if size != _size(file):
        raise Damaged(file.path, f"it has {size:,} bytes, not {_size(file):,}")
    if file.lfs is not None:
        if sha256.hexdigest() != file.lfs.sha256:
            raise Damaged(file.path, "its bytes do not have the SHA-256 that the hub names")
    elif file.git_oid is not None and git.hex() != file.git_oid:
        raise Damaged(file.path, "its bytes do not have the git id that the hub names")


def _check_status(response: httpx.Response, name: str) -> None:
    if response.status_code in (401, 404):
        raise NotFound("model", name, "If it is private, a token that may read it is needed.")
    if response.status_code == 403:
        raise InvalidRequest(f"{name} is gated: accept its terms on the hub, then use a token of that account", "name")
    if response.status_code == 429 or response.status_code >= 500:
        raise httpx.ReadError(f"the hub answered {response.status_code}")
    if response.status_code not in (200, 206):
        raise ModelUnavailable(name, f"the hub answered with status {response.status_code}")
