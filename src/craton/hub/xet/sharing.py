"""Which files of somebody else's repository a caller may read as chunks: those that the revision he asked for holds.

A file's hash alone opens nothing. What a revision holds never changes, so the last few are kept; who may read the
repository is asked every time.
"""

from __future__ import annotations

from functools import lru_cache

from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.reaching import Reached, Reaching
from craton.hub.repositories import Hub

KEPT = 4  # revisions


class Sharing:
    """Blocking, safe in threads."""

    def __init__(self, hub: Hub, reaching: Reaching, admission: Admission) -> None:
        self._reaching, self._admission = reaching, admission

        @lru_cache(KEPT)
        def digests(owner: str, repo: RepoId, commit: str) -> frozenset[bytes]:
            return frozenset(bytes.fromhex(entry.digest) for entry in hub.tree(owner, repo, commit))

        self._digests = digests

    def readable(self, tenant: str, repo: RepoId) -> Reached:
        """Raises NotFound, Gated."""
        reached = self._reaching.reach(tenant, repo)
        self._admission.check(tenant, reached)
        return reached

    def holds(self, tenant: str, repo: RepoId, commit: str, digest: str) -> bool:
        """Whether the revision has a file with this digest. Raises NotFound, Gated."""
        reached = self.readable(tenant, repo)
        return bytes.fromhex(digest) in self._digests(reached.owner, repo, commit)
