"""The pull-through cache: what is asked for and is not here comes from an upstream hub, and stays.

A mirrored repository is a repository like any other, with upstream's own commit ids; the bytes of its large files come
when the first client reads them. What a mirror once had it keeps: while upstream is down, or has lost it, the last
known state is served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from craton.core.errors import CratonError, Damaged, Gated, NotFound, SourceFailed, TooLarge
from craton.core.repo import RepoId, RepoKind, TreeEntry
from craton.hub.files import StoredFile
from craton.hub.mirror.flights import Flights, Wanted
from craton.hub.mirror.origin import Origin
from craton.hub.mirror.partial import BLOCK
from craton.hub.mirror.remembering import Answers
from craton.hub.mirror.shelving import Shelving
from craton.hub.mirror.words import Located, RemoteFile, Seen, Unwatched, Upstream, Watch
from craton.hub.names import is_commit_id, is_repo
from craton.hub.reaching import MIRRORED
from craton.hub.repositories import Hub

log = logging.getLogger("craton.mirror")

MAX_SMALL = 10_000  # files that git keeps itself: they are all fetched when their commit is first seen


class Mirror:
    """origins: in the order in which they are asked. folder: of files on their way in."""

    def __init__(
        self,
        hub: Hub,
        shelving: Shelving,
        origins: Sequence[Origin],
        folder: Path,
        watch: Watch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub, self._shelving = hub, shelving
        self._origins, self._watch = tuple(origins), watch or Unwatched()
        self._flights = Flights(folder, self._keep, self._watch)
        self._answers = Answers(monotonic)

    def sweep(self, now: float) -> None:
        """Removes downloads that were given up long ago. Blocking. now: seconds since the epoch."""
        self._flights.sweep(now)

    async def close(self) -> None:
        await self._answers.close()
        await self._flights.close()

    def owners(self, tenant: str) -> tuple[str, ...]:
        """Whose repositories the tenant may see because it may use their mirrors."""
        upstreams = [origin.upstream for origin in self._origins]
        return tuple(owner for it in upstreams if it.serves(tenant) for owner in it.owners())

    # --- repositories ---------------------------------------------------------------------------------------

    async def ensure(self, tenant: str, kind: RepoKind, path: str, revision: str = "main") -> RepoId | None:
        """Has the repository here at the revision, when an upstream has it and the tenant may use its mirror.

        path: namespace/name, or a name alone as upstream's oldest have it. Returns what it is called here; None when
        no mirror has it. Raises Gated, NotFound (of the revision), TooLarge, Damaged; SourceFailed when nothing is
        known and upstream is down.
        """
        namespace, _, name = path.rpartition("/")
        if not is_repo(RepoId(kind, namespace or name, name)):
            return None  # what cannot be a name never becomes a part of an address
        for origin in self._origins:
            upstream = origin.upstream
            if not (upstream.serves(tenant) and upstream.allows(kind, path)):
                continue
            if is_commit_id(revision):
                known = await asyncio.to_thread(self._known, upstream, kind, path, revision)
                if known is not None:
                    return known
            try:
                found: RepoId = await self._answers.get(
                    (upstream.name, kind, path, revision),
                    upstream.fresh,
                    lambda origin=origin: self._follow(origin, kind, path, revision),  # type: ignore[misc]
                )
            except NotFound as error:
                if error.kind != "repository":
                    raise
            else:
                return found
        return None

    async def locate(self, tenant: str, kind: RepoKind, path: str, revision: str = "main") -> Located:
        """The same, and where it stands. Raises NotFound when no mirror has it."""
        repo = await self.ensure(tenant, kind, path, revision)
        if repo is not None:
            for owner in self.owners(tenant):
                commit = await asyncio.to_thread(self._shelving.commit_of, owner, repo, revision)
                if commit is not None:
                    return Located(owner, repo, commit)
        raise NotFound("repository", path, "If it is private, the hub's token must open it.")

    async def ensure_refs(self, tenant: str, kind: RepoKind, path: str) -> RepoId | None:
        """As `ensure` for main, and the names of all of upstream's branches and tags."""
        repo = await self.ensure(tenant, kind, path)
        if repo is not None:
            place = await self.locate(tenant, kind, path)
            origin = self._origin(place.owner)
            with suppress(CratonError):  # then those that are known are told
                await self._answers.get(
                    (origin.upstream.name, kind, repo.path, "refs/"),
                    origin.upstream.fresh,
                    lambda: self._note_refs(origin, place),
                )
        return repo

    async def _note_refs(self, origin: Origin, place: Located) -> None:
        told = await origin.refs(place.repo)
        await asyncio.to_thread(self._shelving.note_refs, place.owner, place.repo, told)

    def offers(self, tenant: str, kind: RepoKind, path: str) -> bool:
        """Whether a mirror may be asked for it."""
        return any(it.upstream.serves(tenant) and it.upstream.allows(kind, path) for it in self._origins)

    async def _follow(self, origin: Origin, kind: RepoKind, path: str, revision: str) -> RepoId:
        """Asks upstream, and brings here what is new."""
        known = await asyncio.to_thread(self._known, origin.upstream, kind, path, revision)
        try:
            seen = await origin.look(kind, path, revision)
            owner = await self._admitted(origin.upstream, seen, path)
            if origin.upstream.keeper:
                await asyncio.to_thread(self._shelving.check_free, owner, seen.repo, origin.upstream.source)
            if await asyncio.to_thread(self._shelving.commit_of, owner, seen.repo, seen.commit) is None:
                await self._bring(origin, owner, seen)
        except _Withdrawn as error:
            raise error.told from None
        except CratonError as error:
            if known is None or origin.upstream.keeper:
                raise
            log.warning("%s: %s is served as it was last known: %s", origin.upstream.name, path, error)
            return known
        await asyncio.to_thread(self._shelving.point, owner, kind, path, revision, seen)
        return seen.repo

    async def _admitted(self, upstream: Upstream, seen: Seen, path: str) -> str:
        """The owner under whom it belongs. What upstream has closed since is closed here."""
        if not upstream.allows(seen.repo.kind, seen.repo.path):
            raise NotFound("repository", path)
        if seen.restricted and not upstream.keeper:
            await asyncio.to_thread(self._shelving.withdraw, self._hub, upstream.owner(False), seen.repo)
            if not upstream.gated:
                raise _Withdrawn(Gated(path) if seen.gated and not seen.private else NotFound("repository", path))
        return upstream.owner(seen.restricted)

    async def _bring(self, origin: Origin, owner: str, seen: Seen) -> None:
        """The commit, its list of files, and those of them that are small; all of them for a tenant of his own."""
        upstream = origin.upstream
        files = await origin.files(seen.repo, seen.commit)
        small = {file.git_oid: file for file in files if file.sha256 is None}
        if len(small) > MAX_SMALL:
            raise TooLarge(f"{seen.repo.path}: the files outside Git LFS", MAX_SMALL, len(small), "files")
        known = await asyncio.to_thread(self._shelving.learned, owner, small)
        missing = [Wanted(owner, seen.repo, seen.commit, file) for oid, file in small.items() if oid not in known]
        if upstream.keeper:
            large = {file.sha256: Wanted(owner, seen.repo, seen.commit, file) for file in files if file.sha256}
            missing += [it for it in large.values() if not await asyncio.to_thread(self._is_here, it)]
        self._watch.expect(sum(it.file.size for it in missing))
        for stored in await asyncio.gather(*(self._flights.board(origin, it).stored() for it in missing)):
            known[stored.git_oid] = stored
        entries = [_entry(file, known) for file in files]
        shared = not (seen.restricted or upstream.tenants or upstream.keeper)
        await asyncio.to_thread(self._shelving.put, owner, seen, entries, upstream.source, shared=shared)

    def _known(self, upstream: Upstream, kind: RepoKind, path: str, revision: str) -> RepoId | None:
        """What is here of it under this name and may be served."""
        namespace, _, name = path.rpartition("/")
        asked = RepoId(kind, namespace, name)
        for owner in upstream.owners():
            for repo in (asked, self._shelving.called(owner, kind, path)):
                if repo is not None and is_repo(repo) and self._shelving.commit_of(owner, repo, revision):
                    return repo
        return None

    # --- bytes ----------------------------------------------------------------------------------------------

    def lacks(self, owner: str, digest: str) -> bool:
        """Whether the bytes of a mirrored repository's file have yet to come. Blocking."""
        if not owner.startswith(MIRRORED):
            return False
        return not self._has(owner, digest)

    def _has(self, owner: str, digest: str) -> bool:
        return self._shelving.holds(owner, digest) and self._hub.blobs.exists(digest)

    def _is_here(self, wanted: Wanted) -> bool:
        return wanted.file.sha256 is not None and self._has(wanted.owner, wanted.file.sha256)

    async def content(
        self, owner: str, repo: RepoId, commit: str, entry: TreeEntry, start: int, end: int
    ) -> AsyncIterator[bytes]:
        """These bytes of a mirrored file, from here or as they come from upstream. The last of a file come only when
        all of it was verified. Raises what `Origin.read` raises, Damaged, StorageFull."""
        origin = self._origin(owner)
        digest = entry.digest if entry.large else None
        wanted = Wanted(owner, repo, commit, RemoteFile(entry.path, entry.size, entry.git_oid, digest))
        if not self._flights.has(wanted) and not await asyncio.to_thread(self.lacks, owner, entry.digest):
            pieces = self._hub.blobs.span(entry.digest, start, end)
            while piece := await asyncio.to_thread(next, pieces, b""):
                yield piece
            return
        async for piece in self._flights.board(origin, wanted).read(start, end):
            yield piece

    async def fetch(self, place: Located, entries: Sequence[TreeEntry]) -> None:
        """Has these files of a mirrored revision here for good."""
        origin = self._origin(place.owner)
        missing = {}
        for entry in entries:
            if await asyncio.to_thread(self.lacks, place.owner, entry.digest):
                digest = entry.digest if entry.large else None
                file = RemoteFile(entry.path, entry.size, entry.git_oid, digest)
                missing[entry.digest] = Wanted(place.owner, place.repo, place.commit, file)
        self._watch.expect(sum(it.file.size for it in missing.values()))
        await asyncio.gather(*(self._flights.board(origin, it).stored() for it in missing.values()))

    def _origin(self, owner: str) -> Origin:
        for origin in self._origins:
            if owner in origin.upstream.owners():
                return origin
        raise SourceFailed(owner.removeprefix(MIRRORED), "this mirror is not configured any more")

    def _keep(self, owner: str, file: RemoteFile, path: Path) -> StoredFile:
        def chunks() -> Iterator[bytes]:
            with path.open("rb", buffering=0) as opened:
                while chunk := opened.read(BLOCK):
                    yield chunk

        stored = self._hub.store(owner, chunks(), file.size, file.sha256)
        if file.sha256 is None:
            self._shelving.learn(owner, stored)
        return stored


class _Withdrawn(Exception):
    """Upstream has closed the repository: what was known of it is not served any more."""

    def __init__(self, told: CratonError) -> None:
        super().__init__(told)
        self.told = told


def _entry(file: RemoteFile, known: dict[str, StoredFile]) -> TreeEntry:
    if file.sha256 is not None:
        return TreeEntry(file.path, file.sha256, file.size, file.git_oid, True)
    stored = known[file.git_oid]
    if stored.size != file.size:
        raise Damaged(file.path, "upstream names another size than that of the bytes")
    return TreeEntry(file.path, stored.digest, stored.size, file.git_oid)
