"""Who may bring files into a repository: its owner, and for pull requests whoever may read it."""

from __future__ import annotations

from craton.core.repo import RepoId
from craton.hub.admission import Admission
from craton.hub.collaboration.pulls import PullRequests
from craton.hub.reaching import Reached, Reaching
from craton.hub.refs import parse_ref
from craton.wire.http import Request


class Writing:
    """Blocking, safe in threads."""

    def __init__(self, reaching: Reaching, admission: Admission, pulls: PullRequests) -> None:
        self._reaching, self._admission, self.pulls = reaching, admission, pulls

    def reach(self, request: Request, repo: RepoId, revision: str) -> Reached:
        """The repository, for who may commit to this revision or is about to open a pull request on it.

        Raises NotFound, Forbidden, Gated, Conflict.
        """
        tenant = request.authenticated.tenant
        kind, name = parse_ref(revision)
        if kind != "pr" and not opens_pull(request):
            return self._reaching.reach(tenant, repo, "write")
        reached = self.contribute(tenant, repo)
        if kind == "pr" and name.isdecimal():
            self.pulls.check_commit(tenant, reached, int(name))
        return reached

    def contribute(self, tenant: str, repo: RepoId) -> Reached:
        """The repository, for who may send files that a later commit or pull request may name."""
        reached = self._reaching.reach(tenant, repo)
        self._admission.check(tenant, reached)
        return reached


def opens_pull(request: Request) -> bool:
    """Whether the request is about a pull request that does not exist yet."""
    return request.query_params().get("create_pr", "").lower() in {"1", "true"}
